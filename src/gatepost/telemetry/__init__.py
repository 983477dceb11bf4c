"""Logs and metrics."""

from gatepost.telemetry.logs import configure_logs
from gatepost.telemetry.metrics import Metrics

__all__ = ["Metrics", "configure_logs"]

"""Logs and metrics."""

from gatepost.telemetry.logs import configure_logs
from gatepost.telemetry.metrics import new_registry, render

__all__ = ["configure_logs", "new_registry", "render"]

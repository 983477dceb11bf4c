"""The data plane that phones connect to."""

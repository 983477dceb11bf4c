"""Gatepost: which phones may read mail over Exchange ActiveSync."""

__version__ = "0.1.0"

"""Codecs between bytes and values, without I/O."""

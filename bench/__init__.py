"""Measurements beside other software, in one run each: `python -m bench`."""

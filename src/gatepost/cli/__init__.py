"""The command line: `gatepost init | serve | demo | explain | devices | keys | db`."""

from gatepost.cli.app import app, main

__all__ = ["app", "main"]

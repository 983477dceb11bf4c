"""The WorkMail-compatible control API."""

"""WBXML as ActiveSync uses it (MS-ASWBXML)."""

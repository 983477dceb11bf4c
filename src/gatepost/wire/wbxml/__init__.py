"""WBXML as ActiveSync uses it (MS-ASWBXML)."""

from gatepost.wire.wbxml.decode import IDENTITY, ROOT_LENGTH, Limits, decode, root
from gatepost.wire.wbxml.element import Element, WbxmlError
from gatepost.wire.wbxml.encode import encode

__all__ = ["IDENTITY", "ROOT_LENGTH", "Element", "Limits", "WbxmlError", "decode", "encode", "root"]

"""The value that WBXML bytes stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class WbxmlError(ValueError):
    """Bytes that are not WBXML as MS-ASWBXML allows it, or an element that cannot be written as such."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element: `name` is `Page:Tag`; it has children, or text, or opaque bytes, or nothing, never two of them."""

    name: str
    children: tuple[Element, ...] = ()
    text: str | None = None
    opaque: bytes | None = None

    def __post_init__(self) -> None:
        if bool(self.children) + (self.text is not None) + (self.opaque is not None) > 1:
            raise WbxmlError(f"`{self.name}` mixes children, text and opaque bytes; give it one kind of content")

    def find(self, *path: str) -> Element | None:
        """The first element down `path` (names of child, grandchild …), None where there is no such."""
        found: Element | None = self
        for name in path:
            found = next(found.each(name), None) if found is not None else None
        return found

    def each(self, name: str) -> Iterator[Element]:
        """The children called `name`, in order."""
        return (child for child in self.children if child.name == name)

    def text_at(self, *path: str) -> str | None:
        """The text of the element at `path`; an element without content has the text ``""``, a missing one None."""
        found = self.find(*path)
        if found is None or found.children or found.opaque is not None:
            return None
        return found.text or ""

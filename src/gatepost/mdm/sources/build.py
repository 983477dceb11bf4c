"""Which module asks which kind of source: the one place that knows them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.mdm.sources.generic import Generic, GenericConfiguration
from gatepost.mdm.sources.workspace_one import WorkspaceOne

if TYPE_CHECKING:
    from gatepost.mdm.configuration import SourceConfiguration
    from gatepost.mdm.sources.base import Source


def build_source(configuration: SourceConfiguration) -> Source:
    """The source, which has asked nothing yet. Raises ValueError, or OSError for a file or for TLS, with a sentence for people."""
    asks = configuration.asks
    return Generic(asks) if isinstance(asks, GenericConfiguration) else WorkspaceOne(asks)

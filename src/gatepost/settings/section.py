"""What the tables of the configuration file have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the file. What a field's `description` says is what a mistake in it is answered with."""

    # Defaults are validated as well: their paths start at the configuration file's folder like any other.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, revalidate_instances="always")

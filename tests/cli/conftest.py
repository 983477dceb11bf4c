"""A folder with a fresh configuration and database, made once and copied for each test."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from tests.support.bridge_settings import add_workspace_one
from tests.support.cli import Ran, run
from tests.support.workspace_one import twin_login

from gatepost.operations.context import Context
from gatepost.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORGANIZATION_ID = "m-0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Installation:
    """What `gatepost init` made."""

    folder: Path
    config: Path
    organization_id: str

    def run(self, *arguments: object) -> Ran:
        """A command with this configuration."""
        return run(*arguments, "--config", self.config)

    def store(self) -> Store:
        """The database."""
        return Store.open(f"sqlite:///{self.folder / 'gatepost.db'}")

    def context(self, store: Store) -> Context:
        """A context for operations."""
        return Context(store, lambda: datetime.now(UTC), "test")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("GATEPOST_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gatepost.settings.reading.SYSTEM_FILE", tmp_path / "etc" / "gatepost.toml")


@pytest.fixture(scope="session")
def _initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("initialised")
    ran = run("init", "--directory", folder, "--organization-id", ORGANIZATION_ID, "--domain", "example.com")
    assert ran.code == 0, ran.err
    return folder


@pytest.fixture
def installation(_initialised: Path, tmp_path: Path) -> Installation:
    """A copy of its own for the test."""
    folder = tmp_path / "installation"
    shutil.copytree(_initialised, folder)
    return Installation(folder, folder / "gatepost.toml", ORGANIZATION_ID)


@pytest.fixture
def bridged(installation: Installation) -> Installation:
    """An installation with a source `ws1` that nobody answers for."""
    add_workspace_one(installation.config, "http://127.0.0.1:9", twin_login())
    return installation


@pytest.fixture
def store(bridged: Installation) -> Iterator[Store]:
    """What that installation has stored."""
    opened = bridged.store()
    yield opened
    opened.close()

"""Stores for tests: every database that we support gets the same ones."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING

import pytest
import structlog
from tests.support import verdict
from tests.support.postgresql import Cluster, cluster

from gatepost.store import migrate
from gatepost.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pytest_configure(config: pytest.Config) -> None:
    """Whatever the product leaves behind in this run is searched for the run's secrets."""
    verdict.install(config)


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A test that configures the logs, as every command does, does so for itself alone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    verdict.plain_logs()
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def postgresql_cluster() -> Iterator[Cluster]:
    """A real PostgreSQL, started when the first test asks for it."""
    with cluster() as server:
        yield server


@pytest.fixture(scope="session")
def empty_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with tables and nothing in them, to be copied."""
    path = tmp_path_factory.mktemp("store") / "empty.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty store that several processes can open."""
    if request.param == "postgresql":
        with request.getfixturevalue("postgresql_cluster").store() as url:
            yield url
    else:
        path = tmp_path / "gatepost.db"
        shutil.copy(request.getfixturevalue("empty_sqlite_file"), path)
        yield f"sqlite:///{path}"


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store."""
    opened = Store.open(store_url)
    yield opened
    opened.close()

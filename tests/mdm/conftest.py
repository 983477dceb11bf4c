import pytest
from tests.support import amazon_sample
from tests.support.mdm_world import Clock, Desk, MemorySource

from gatepost.mdm.options import BridgeOptions
from gatepost.operations import organizations
from gatepost.operations.context import Context
from gatepost.store.database import Store

# In CI nothing is skipped: where the sample is not at hand, its comparison is no part of the run.
collect_ignore = ["test_amazon_sample.py"] if amazon_sample.folder() is None else []


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def moved_store(store_url, clock):
    """An empty store whose time is the test's."""
    opened = Store.open(store_url, now=clock)
    yield opened
    opened.close()


@pytest.fixture
def context(moved_store, clock):
    return Context(moved_store, clock, "test")


@pytest.fixture
def organization_id(context):
    """An open organization of example.com and example.net."""
    return organizations.create(context, alias="example", domains=["example.com", "example.net"])


@pytest.fixture
def source(clock):
    return MemorySource(clock)


@pytest.fixture
def desk(moved_store, source, clock, organization_id):
    return Desk(moved_store, source, clock, BridgeOptions())

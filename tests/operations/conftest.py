from datetime import UTC, datetime, timedelta

import pytest

from gatepost.model import Directory
from gatepost.operations import groups, organizations, registrations, users
from gatepost.operations.context import Context


class Clock:
    """A clock that moves on a second each time it is looked at."""

    def __init__(self):
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self):
        self.time += timedelta(seconds=1)
        return self.time


@pytest.fixture
def context(store):
    return Context(store, Clock(), "test")


@pytest.fixture
def organization_id(context):
    return organizations.create(context, alias="example", domains=["example.com", "example.net"])


@pytest.fixture
def closed_id(context):
    return organizations.create(context, alias="closed", domains=["closed.example"], directory=Directory.CLOSED)


@pytest.fixture
def alice(context, organization_id):
    """The id of an enabled user alice@example.com."""
    user_id = users.create(context, organization_id=organization_id, name="alice", display_name="Alice")
    registrations.register_to_work_mail(
        context, organization_id=organization_id, entity_id=user_id, email="alice@example.com"
    )
    return user_id


@pytest.fixture
def sales(context, organization_id):
    """The id of an enabled group sales@example.com."""
    group_id = groups.create(context, organization_id=organization_id, name="Sales")
    registrations.register_to_work_mail(
        context, organization_id=organization_id, entity_id=group_id, email="sales@example.com"
    )
    return group_id


@pytest.fixture
def revision(store):
    """The store's present revision; each change moves it by one."""

    def read():
        with store.begin() as transaction:
            return transaction.revision

    return read

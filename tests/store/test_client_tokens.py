from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select
from tests.store.nouns import NOON

from gatepost.store import client_tokens, feed
from gatepost.store.database import Store
from gatepost.store.schema import client_tokens as table


class Clock:
    now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(store_url, clock):
    opened = Store.open(store_url, now=clock)
    yield opened
    opened.close()


def put(store, operation="CreateUser", token="t-1", fingerprint="f", response='{"UserId": "1"}'):
    with store.begin() as transaction:
        client_tokens.put(transaction, operation, token, fingerprint, response)


def find(store, operation="CreateUser", token="t-1"):
    with store.read() as reader:
        return client_tokens.find(reader, operation, token)


def test_the_answer_is_remembered_by_operation_and_token(store):
    assert find(store) is None
    put(store)
    assert find(store) == ("f", '{"UserId": "1"}')
    assert find(store, operation="CreateOrganization") is None
    assert find(store, token="T-1") is None


def test_for_a_day(store, clock):
    put(store)
    clock.now = NOON + client_tokens.REMEMBERED - timedelta(seconds=1)
    assert find(store) is not None
    clock.now = NOON + client_tokens.REMEMBERED
    assert find(store) is None
    put(store, fingerprint="g")
    assert find(store) == ("g", '{"UserId": "1"}')


def test_old_ones_do_not_pile_up(store, clock):
    for number in range(3):
        put(store, token=f"t-{number}")
    clock.now = NOON + client_tokens.REMEMBERED
    put(store, token="t-new")
    with store.read() as reader:
        assert reader.connection.execute(select(func.count()).select_from(table)).scalar_one() == 1


def test_it_is_kept_with_the_transaction_or_not_at_all(store):
    def put_and_fail():
        with store.begin() as transaction:
            client_tokens.put(transaction, "CreateUser", "t-1", "f", "{}")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        put_and_fail()
    assert find(store) is None


def test_tokens_are_no_business_of_the_feed(store):
    put(store)
    assert feed.load(store).revision == 0

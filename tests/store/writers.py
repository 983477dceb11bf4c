"""Writers that run in processes of their own, to be raced against each other and to be killed."""

from __future__ import annotations

import multiprocessing
import threading
import time
from typing import TYPE_CHECKING, Any

from tests.store.nouns import ORGANIZATION, a_rule, a_user, an_override

from gatepost.model import Owner
from gatepost.store import feed, mobile_device_access_overrides, mobile_device_access_rules, users
from gatepost.store.database import Store

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from gatepost.model import Change, Noun

PAUSE = 0.002  # between two transactions: SQLite's lock knows no queue, and without it other processes would starve
SPAWN = multiprocessing.get_context("spawn")  # a forked child would share the parent's connections


def start(target: Any, *arguments: object) -> BaseProcess:
    process = SPAWN.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def write(store: Store, name: str, number: int) -> None:
    """One transaction with three changes: a user, and an override or a rule that comes and goes."""
    with store.begin() as transaction:
        users.put(transaction, a_user(name, name=f"{name}-{number}", aliases=(f"{name}-{number}@example.com",)))
        if number % 3 == 0:
            mobile_device_access_overrides.put(transaction, an_override(name, description=f"{number}"))
        elif number % 3 == 1:
            mobile_device_access_overrides.delete(transaction, ORGANIZATION, name, "ABC", Owner.PERSON)
        else:
            mobile_device_access_rules.put(transaction, a_rule(name, name=f"{number}"))


def race(url: str, name: str, transactions: int, threads: int) -> None:
    """Write from several threads and end."""
    store = Store.open(url)

    def run(thread: int) -> None:
        for number in range(transactions):
            write(store, f"{name}-{thread}", number)
            time.sleep(PAUSE)

    running = [threading.Thread(target=run, args=(thread,)) for thread in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    store.close()


def write_for_ever(url: str, name: str, written: Any) -> None:
    """Write until killed; `written.value` counts."""
    store = Store.open(url)
    number = 0
    while True:
        write(store, name, number)
        number += 1
        written.value = number
        time.sleep(PAUSE)


def replay(changes: list[Change]) -> set[Noun]:
    """What there is after the changes."""
    nouns: dict[object, Noun] = {}
    for change in changes:
        key = (change.organization_id, change.kind, change.key)
        if change.noun is None:
            del nouns[key]
        else:
            nouns[key] = change.noun
    return set(nouns.values())


def every_change(store: Store) -> list[Change]:
    """The feed from its beginning."""
    found: list[Change] = []
    while more := feed.changes_after(store, store.epoch, found[-1].revision if found else 0):
        found += more
    return found

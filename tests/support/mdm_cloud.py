"""A bridge that writes into Amazon WorkMail, in memory: alone, or beside the store."""

from __future__ import annotations

import asyncio

from tests.support.mdm_world import calls, posture
from tests.support.workmail import CONFIGURATION, WorkMailInMemory

from gatepost.engine.posture import Policy
from gatepost.mdm.delivery import Delivery
from gatepost.mdm.options import BridgeOptions
from gatepost.mdm.settling import Settling
from gatepost.mdm.targets.workmail import WorkMailTarget
from gatepost.store import mdm_applied, mdm_work

KEY = "target:workmail"


class Cloud:
    """A bridge with WorkMail as its only target, or beside the store."""

    def __init__(self, desk, threads, *, local=False, **policy):
        self.desk = desk
        self.clock = desk.clock
        self.memory = WorkMailInMemory("alice@example.com", "bob@example.com")
        self.options = BridgeOptions(policy=Policy(**policy))
        self.threads = threads
        self.local = local
        self.restart()

    def restart(self):
        """A new process."""
        desk = self.desk
        desk.restart()
        desk.options = self.options
        if not self.local:
            desk.settling = Settling(desk.store, self.options, desk.sources, (None, ["workmail"]), desk.metrics)
        self.target = WorkMailTarget(CONFIGURATION, "gate", client=self.memory)
        self.delivery = Delivery(
            desk.store, calls(self.threads), self.target, self.options, sources=desk.sources, metrics=desk.metrics
        )

    def device(self, *ids, **fields):
        """The MDM's device 1; somebody tells of it; everything due is done."""
        self.desk.source.devices["1"] = posture("1", *(ids or ("AAA",)), clock=self.clock, **fields)
        self.desk.told("1")
        self.deliver()

    def deliver(self):
        for _ in range(10):
            with self.desk.store.bookkeeping() as writer:
                claims = mdm_work.claim(writer, 120, 100, sources=[KEY])
            if not claims:
                return
            for claim in claims:
                self.memory.calls.clear()
                asyncio.run(self.delivery.deliver(claim))
        raise AssertionError("it does not come to rest")

    def look_through(self):
        asyncio.run(self.delivery.look_through())
        self.desk.work()
        self.deliver()

    @property
    def rows(self):
        with self.desk.store.read() as reader:
            return mdm_applied.page(reader, "workmail", None, 100)

    @property
    def conflicts(self):
        return {one.value for one in self.desk.metrics.conflicts.values()}

"""The same events to Amazon's sample and to our bridge, side by side: which overrides stand afterwards.

The sample is aws-samples/amazon-workmail-lambda-templates, workmail-ws1-integration/src, as of b570142, not changed in any
way; GATEPOST_TEST_AMAZON_SAMPLE names its folder, and without it this is left out (`tests/mdm/conftest.py`). It runs
against our API in the place of Amazon's; ours runs as `gatepost serve`. Both ask the same Workspace ONE twin. What the
sample does is what is wrong with it (`test_defects.py` has the same cases in detail).
"""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from tests.store.mdm import next_due
from tests.support import amazon_sample
from tests.support.amazon_sample import Sample
from tests.support.bridge_settings import WEBHOOK_USER, add_workspace_one, webhook_password
from tests.support.daemons import wait_until
from tests.support.stack import Gatepost
from tests.support.workspace_one import TwinThread

from gatepost.demo.workspace_one import Mood
from gatepost.mdm.sweep import WHOLE, sweep_key
from gatepost.store import mdm_work
from gatepost.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SAMPLE = amazon_sample.folder()
NO_SAMPLE = f"{amazon_sample.VARIABLE} does not name the folder of Amazon's sample (workmail-ws1-integration/src)"

if SAMPLE is None:  # without the folder the file is not collected (conftest.py): somebody named it
    raise pytest.UsageError(NO_SAMPLE)

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("amazon-sample")]

NOWHERE = "http://127.0.0.1:9"
ALLOW, DENY = "ALLOW", "DENY"


class Both:
    """The sample and our bridge, each with an organization of its own, and their Workspace ONE."""

    def __init__(self) -> None:
        self.uem = TwinThread()
        self.workmail, self.ours = Gatepost(NOWHERE), Gatepost(NOWHERE)
        add_workspace_one(self.ours.configuration, self.uem.url, self.uem.twin.login)
        self.workmail.serve("control")
        self.ours.serve()
        self.store = Store.open(self.ours.store_url)
        self.sample = Sample(SAMPLE, self.uem.url, self.uem.twin.login, self.workmail, webhook_password())
        self.statuses: list[tuple[int, int]] = []
        self.rows: list[tuple[str, str, str, str]] = []
        self.count = 0

    def stop(self) -> None:
        self.sample.stop()
        self.store.close()
        self.ours.stop()
        self.workmail.stop()
        self.uem.stop()

    def begin(self) -> None:
        """A case with people and devices of its own."""
        self.count += 1
        self.statuses = []

    def address(self, person: str) -> str:
        return f"{person}{self.count}@example.com"

    def device_id(self, name: str) -> str:
        return f"{name}X{self.count}"

    def enroll(self, *names: str, person: str = "alice") -> int:
        """A compliant device, of which both were told; its number."""
        ids = [self.device_id(name) for name in names]
        number: int = self.uem.do(lambda twin: twin.enroll(self.address(person), *ids)).number
        self.tell(lambda twin: twin.comply(number))
        return number

    def tell(self, act: Callable[[Any], object], mood: Mood | None = None) -> None:
        """It happens, and both are told of it; while each asks for the first time, Workspace ONE is in that mood."""
        self.uem.do(act)
        events, self.uem.twin.events.waiting = self.uem.twin.events.waiting, []
        for event in events:
            both = []
            for post in (self.sample.post, self.post):
                if mood is not None:
                    self.uem.do(lambda twin: twin.fail(mood, 1))
                both.append(post(event))
                self.settle()
            self.statuses.append((both[0], both[1]))

    def post(self, event: Any) -> int:
        """To ours."""
        return self.request(json.dumps(event).encode(), {"authorization": f"Basic {self.login}"})

    @property
    def login(self) -> str:
        return base64.b64encode(f"{WEBHOOK_USER}:{webhook_password()}".encode()).decode()

    def request(self, body: bytes | None, headers: dict[str, str]) -> int:
        asked = urllib.request.Request(f"{self.ours.mdm_url}/ws1", data=body, headers=headers)
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def settle(self) -> None:
        """Our bridge has done what is due, or is about to try again."""

        def idle() -> bool:
            with self.store.read() as reader:
                backlog = mdm_work.backlog(reader, "ws1")
                retried = [one for one in (next_due(reader, ["ws1"]),) if one is not None]
                soon = [one for one in retried if (one - reader.now).total_seconds() < 20]
            return not (backlog.due or backlog.leased or soon)

        wait_until(idle, "the bridge has nothing to do", seconds=30)

    def sweep(self) -> None:
        """Our bridge's, which comes every six hours; the sample has none."""
        with self.store.bookkeeping() as writer:
            mdm_work.dirty(writer, sweep_key("ws1"), WHOLE, urgent=True)
        time.sleep(1)
        self.settle()

    def by_hand(self, person: str, name: str, effect: str) -> None:
        """An administrator's override, in both."""
        for product in (self.workmail, self.ours):
            product.override(self.address(person), self.device_id(name), effect)

    def overrides(self, product: Gatepost) -> dict[str, str]:
        """{"person device": effect} of this case."""
        found = {}
        for one in product.call("list_mobile_device_access_overrides", MaxResults=100)["Overrides"]:
            name, _, case = one["DeviceId"].rpartition("X")
            if case == str(self.count):
                email = product.call("describe_user", UserId=one["UserId"])["Email"]
                found[f"{email.partition('@')[0].removesuffix(case)} {name}"] = one["Effect"]
        return found

    def compare(self, case: str, sample: dict[str, str], ours: dict[str, str]) -> None:
        """What stands afterwards."""
        seen = self.overrides(self.workmail), self.overrides(self.ours)
        codes = ", ".join(f"{first}/{second}" for first, second in self.statuses[-2:])
        self.rows.append((case, codes, *(_shown(one) for one in seen)))
        assert seen == (sample, ours)


def _shown(overrides: dict[str, str]) -> str:
    return ", ".join(f"{pair}: {effect}" for pair, effect in sorted(overrides.items())) or "none"


@pytest.fixture(scope="module")
def started(request: pytest.FixtureRequest) -> Iterator[Both]:
    both = Both()
    yield both
    both.stop()
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("\n\n| case | statuses: sample/ours | overrides: sample | ours |\n|---|---|---|---|")
        for row in both.rows:
            print("| " + " | ".join(row) + " |")


@pytest.fixture
def both(started: Both) -> Both:
    started.begin()
    return started


def test_a_compliant_device_is_allowed_by_both_and_one_that_is_not_by_neither(both):
    number = both.enroll("EAS")
    both.compare("compliant", {"alice EAS": ALLOW}, {"alice EAS": ALLOW})
    both.tell(lambda twin: twin.violate(number))
    both.compare("not compliant", {}, {})


def test_01_unenrolled(both):
    number = both.enroll("EAS")
    both.tell(lambda twin: twin.unenroll(number))
    both.compare("unenrolled: no EAS id is reported any more", {"alice EAS": ALLOW}, {})


def test_02_deleted(both):
    number = both.enroll("EAS")
    both.tell(lambda twin: twin.delete(number))
    both.compare("deleted in Workspace ONE", {"alice EAS": ALLOW}, {})


def test_03_wiped_or_compromised(both):
    number = both.enroll("EAS")
    both.tell(lambda twin: twin.wipe(number))
    both.compare("being wiped", {"alice EAS": ALLOW}, {})
    both.begin()
    number = both.enroll("EAS")
    both.tell(lambda twin: twin.jailbreak(number))
    both.compare("jailbroken", {"alice EAS": ALLOW}, {})


def test_04_what_a_person_decided(both):
    number = both.enroll("EAS")
    both.by_hand("bob", "EAS", DENY)
    both.tell(lambda twin: twin.violate(number))
    both.compare("not compliant; an administrator's DENY for bob", {}, {"bob EAS": DENY})
    both.begin()
    both.by_hand("alice", "EAS", DENY)
    both.enroll("EAS")
    both.compare("compliant; an administrator's DENY", {"alice EAS": ALLOW}, {"alice EAS": DENY})


def test_06_a_lost_event(both):
    number = both.enroll("EAS")
    both.uem.do(lambda twin: twin.violate(number))
    both.uem.twin.events.waiting.clear()
    both.sweep()
    both.compare("not compliant; the event is lost", {"alice EAS": ALLOW}, {})


def test_07_another_user(both):
    number = both.enroll("EAS")
    both.tell(lambda twin: twin.reassign(number, both.address("bob")))
    both.compare("alice's device becomes bob's", {"alice EAS": ALLOW, "bob EAS": ALLOW}, {"bob EAS": ALLOW})


def test_08_several_ids_and_another_id(both):
    number = both.enroll("EAS", "OUTLOOK")
    both.compare("two mail programs", {"alice EAS": ALLOW}, {"alice EAS": ALLOW, "alice OUTLOOK": ALLOW})
    both.uem.do(lambda twin: twin.give_eas_id(number, both.device_id("NEW")))
    both.tell(lambda twin: twin.comply(number))
    both.tell(lambda twin: twin.violate(number))
    both.compare("another EAS id, then not compliant", {"alice EAS": ALLOW}, {})


@pytest.mark.parametrize("mood", [Mood.TOO_MANY, Mood.PAGE_503, Mood.EMPTY, Mood.PAGE_404])
def test_11_workspace_one_cannot_say(both, mood):
    number = both.enroll("EAS")
    both.tell(lambda twin: twin.violate(number), mood)
    both.compare(f"not compliant; Workspace ONE: {mood}", {"alice EAS": ALLOW}, {})


def test_16_header_names_in_small_letters(both):
    event = {"DeviceId": both.enroll("EAS")}
    both.statuses = [(both.sample.post(event, header="authorization"), both.post(event))]
    both.compare("`authorization` in small letters", {"alice EAS": ALLOW}, {"alice EAS": ALLOW})
    assert both.statuses == [(400, 200)]


def test_17_the_connection_test_without_credentials(both):
    both.statuses = [(both.sample.test_connection(), both.request(None, {}))]
    both.compare("connection test without credentials", {}, {})
    assert both.statuses == [(200, 401)]


def test_18_a_device_id_that_is_a_path(both):
    event = {"DeviceId": "../../system/users/search?x="}

    def asked(post):
        both.uem.do(lambda twin: twin.asked.clear())
        status = post(event)
        both.settle()
        return status, [one.path for one in both.uem.twin.asked]

    (first, theirs), (second, ours) = asked(both.sample.post), asked(both.post)
    both.statuses = [(first, second)]
    both.compare(f"a DeviceId that is a path; asked for: {theirs[0]}", {}, {})
    assert "/api/system/users/search" in theirs
    assert not any("system" in path for path in ours)


def test_22_not_yet_checked_again(both):
    number = both.enroll("EAS")
    both.tell(lambda twin: twin.recheck(number))
    both.compare("to be checked again", {}, {"alice EAS": ALLOW})


def test_23_enrolled_before_its_id_is_known(both):
    number = both.enroll()
    both.uem.do(lambda twin: twin.give_eas_id(number, both.device_id("EAS")))
    both.sweep()
    both.compare("the EAS id comes later, without an event", {}, {"alice EAS": ALLOW})

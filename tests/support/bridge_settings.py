"""A configuration file that gains the bridge, and a store that looks as if the bridge had been at work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.support import secrets
from tests.support.postures import a_posture

from gatepost.engine.posture import Policy
from gatepost.mdm.deciding import Addresses, decide
from gatepost.mdm.targets.base import slack_of
from gatepost.mdm.targets.local import LocalTarget
from gatepost.store import mdm_devices

if TYPE_CHECKING:
    from pathlib import Path

    from gatepost.demo.workspace_one import TwinLogin
    from gatepost.model import KnownDevice
    from gatepost.store.database import Store

WEBHOOK_USER = "events"


def webhook_password() -> str:
    """What the events of the run's sources prove themselves with."""
    return secrets.password("the login of the webhook")


def add_workspace_one(config: Path, url: str, login: TwinLogin, *, name: str = "ws1", more: str = "") -> None:
    """Append a Workspace ONE source with one webhook credential; `more` are further lines of its table."""
    with config.open("a", encoding="utf-8") as file:
        file.write(f"""
[[mdm.sources]]
name = "{name}"
kind = "workspace-one"
url = "{url}"
user = "{login.user}"
password = "{login.password}"
tenant_code = "{login.tenant_code}"
rate = 1000
burst = 1000
{more}

[[mdm.sources.webhook_credentials]]
kind = "basic"
user = "{WEBHOOK_USER}"
password = "{webhook_password()}"
""")


def seen(store: Store, device_key: str = "7", *, written: bool = True, **changes: Any) -> KnownDevice:
    """A device as `a_posture` describes it, but now; with what follows from it written, unless told otherwise."""
    now = datetime.now(UTC)
    times = {"observed_at": now, "state_time": now - timedelta(minutes=1)}
    policy, target = Policy(), LocalTarget(store)
    with store.begin() as transaction:
        known = mdm_devices.put(transaction, a_posture(device_key, **(times | changes)))
        if written:
            pairs, addresses = target.pairs(transaction), Addresses(transaction, None)
            before, related = pairs.of_device(known.posture.source, device_key), mdm_devices.related(transaction, known)
            names = {known.posture.source}
            decided = decide(related, known, addresses, policy, transaction.now, sources=names, written=before)
            planned = target.plan(transaction, pairs, decided.wishes, slack_of(policy))
            target.apply(transaction, pairs, planned, known, addresses)
            target.write(transaction, pairs)
    return known

"""Of direct mode: whether the MDMs are asked and heard from, and whether the bridge is there to write what follows."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from gatepost.cli.check_findings import Finding
from gatepost.cli.check_workmail import HOW_TO, may_not
from gatepost.cli.mdm_left import left
from gatepost.cli.mdm_reading import WORKMAIL, backlog, target_names
from gatepost.cli.mdm_work import all_parked
from gatepost.cli.screen import moment
from gatepost.mdm.guard import stands
from gatepost.mdm.observing import ALIVE
from gatepost.mdm.settling import NO_SUCH_USER, target_key
from gatepost.model import Role
from gatepost.store import access_keys, mdm_inbox, mdm_silence, mdm_sources

if TYPE_CHECKING:
    from gatepost.mdm.configuration import BridgeConfiguration, SourceConfiguration
    from gatepost.model import Parked
    from gatepost.store.database import Reader

LATE = timedelta(minutes=5)
"""A device that is due for so long is not being looked at."""
_SWEEPS = 2  # of a source's hours between sweeps, without one that ended: one may have failed

_DESCRIBE = f"describe the MDM in [[mdm.sources]]: {HOW_TO}"
_LET_IT_SEND = (
    "have the MDM's console send its event notifications to https://<gatepost>/mdm/{name}, with a user and a password of "
    f"webhook_credentials (its Test Connection is not kept, and does not count): {HOW_TO}"
)
_STATUS = "gatepost mdm status"
_LIST_PARKED = "gatepost mdm parked list"
_SERVE = "gatepost serve, or gatepost serve --role mdm"


def heard_from(reader: Reader, bridge: BridgeConfiguration, organization_id: str) -> Finding:
    """Sources are configured for the organization, and each has lately answered, been listed whole, and ever sent anything."""
    requirement = "an MDM says which devices are in order"
    sources = [one for one in bridge.sources if one.organization_id in (None, organization_id)]
    if not sources:
        return Finding(requirement, False, "no source is configured for it", (_DESCRIBE,))
    said = [(one.name, _silence(reader, one)) for one in sources]
    silent = [f"{name}: {why}" for name, why in said if why is not None]
    told = [f"gatepost mdm reconcile --dry-run --source {name}" for name, why in said if why is not None]
    untold = [one.name for one in sources if _sends_nothing(reader, one)]
    if silent or untold:
        kept = f"has never sent a notification, as far as they are kept ({bridge.keep_days:g} days)"
        says = "; ".join([*silent, *(f"{name}: {kept}" for name in untold)])
        to_do = [*([_STATUS, *told] if silent else []), *(_LET_IT_SEND.format(name=name) for name in untold)]
        return Finding(requirement, False, says, tuple(to_do))
    heard = [f"{one.name} {_notified(reader, one)}" for one in sources]
    return Finding(requirement, True, "every source answers, and was listed whole lately; " + "; ".join(heard))


def able_to_write(reader: Reader, bridge: BridgeConfiguration) -> Finding:
    """A bridge is alive, keeps up, brings what it decides to its targets, and nothing stands there of a former source."""
    found = _writes(reader, bridge)
    forgotten = [one for one in left(reader, bridge) if one.to_do is not None]
    if not forgotten:
        return found
    says = [*([] if found.met else [found.says]), *(one.says for one in forgotten)]
    to_do = dict.fromkeys((*found.to_do, *(one.to_do for one in forgotten if one.to_do is not None)))
    return Finding(found.requirement, False, "; ".join(says), tuple(to_do))


def _writes(reader: Reader, bridge: BridgeConfiguration) -> Finding:
    requirement = "the bridge writes what follows"
    if not bridge.sources:
        keys = [one for one in access_keys.list(reader) if one.role is Role.BRIDGE and one.date_revoked is None]
        elsewhere = f" (access keys with the role bridge, for one elsewhere: {len(keys)})" if keys else ""
        return Finding(requirement, False, f"no bridge is configured here{elsewhere}", (_DESCRIBE,))
    absent = [one.name for one in bridge.sources if not _alive(reader, one)]
    if absent:
        return Finding(
            requirement, False, f"no bridge has been alive within {ALIVE.seconds} s for {', '.join(absent)}", (_SERVE,)
        )
    stuck, advice = _stuck(reader, bridge)
    if stuck:
        return Finding(requirement, False, "; ".join(stuck), tuple(advice))
    says = f"a bridge is alive, keeps up, and writes to {', '.join(target_names(bridge))}"
    strangers = sum(len(_parked(reader, one.name)[1]) for one in bridge.sources)
    if strangers:
        says += f"; parked, because nobody here has the address that the MDM says: {strangers} ({_LIST_PARKED})"
    return Finding(requirement, True, says)


def _silence(reader: Reader, source: SourceConfiguration) -> str | None:
    """Why it cannot be said that the source is heard from; None: it is."""
    state = mdm_sources.get(reader, source.name)
    patience = _SWEEPS * timedelta(hours=source.sweep_hours)
    trouble = f": {state.last_error}" if state.last_error and state.failures else ""
    if state.closed_until is not None and state.closed_until > reader.now:
        return f"not asked until {moment(state.closed_until)}{trouble}"
    for what, at in (("answer", state.answered_at), ("sweep that ended", state.sweep_finished_at)):
        if at is None:
            return f"no {what} yet{trouble}"
        if reader.now - at > patience:
            return f"no {what} since {moment(at)}{trouble}"
    return None


def _sends_nothing(reader: Reader, source: SourceConfiguration) -> bool:
    """Whether it could send notifications, and had time enough to."""
    since = mdm_silence.without_notification_since(reader, source.name) if source.credentials else None
    return since is not None and reader.now - since > _SWEEPS * timedelta(hours=source.sweep_hours)


def _notified(reader: Reader, source: SourceConfiguration) -> str:
    if not source.credentials:
        return f"sends no notifications, so a change is seen within {source.sweep_hours:g} hours"
    at = mdm_inbox.last_received(reader, source.name)
    return "has not sent a notification yet" if at is None else f"sent a notification at {moment(at)}"


def _alive(reader: Reader, source: SourceConfiguration) -> bool:
    alive_at = mdm_sources.get(reader, source.name).alive_at
    return alive_at is not None and reader.now - alive_at <= ALIVE


def _stuck(reader: Reader, bridge: BridgeConfiguration) -> tuple[list[str], list[str]]:
    """What does not go on, and what to do."""
    stuck: list[str] = []
    advice: list[str] = []
    oldest = backlog(reader, bridge).oldest_due
    if oldest is not None and reader.now - oldest > LATE:
        stuck.append(f"devices wait to be looked at since {moment(oldest)}")
        advice.append(_STATUS)
    for source in bridge.sources:
        state = mdm_sources.get(reader, source.name)
        if stands(state):
            stuck.append(f"mass changes of {source.name} are held back: {state.guard}")
            advice.append(f"gatepost mdm reconcile --dry-run --source {source.name}, then with --confirm")
        failed, _ = _parked(reader, source.name)
        if failed:
            stuck.append(f"{len(failed)} devices of {source.name} are parked: {_mostly(failed)}")
            advice.append(
                f"{_LIST_PARKED} --source {source.name}, then gatepost mdm parked retry --source {source.name}"
            )
    if bridge.workmail is not None:
        failed = all_parked(reader, target_key(WORKMAIL))
        if failed:
            stuck.append(f"{len(failed)} devices could not be brought to Amazon WorkMail: {_mostly(failed)}")
            advice.append(f"gatepost mdm parked retry --source {target_key(WORKMAIL)}")
    trouble = may_not(bridge)
    if trouble is not None:
        stuck.append(f"Amazon WorkMail does not let the bridge write: {trouble}")
        advice.append(f"look at the key and its policy: {HOW_TO}")
    return stuck, advice


def _parked(reader: Reader, source: str) -> tuple[list[Parked], list[Parked]]:
    """What failed for good, and what the MDM says of people who are not here: that is its data, and no failure."""
    found: tuple[list[Parked], list[Parked]] = ([], [])
    for one in all_parked(reader, source):
        found[one.last_error.startswith(NO_SUCH_USER)].append(one)
    return found


def _mostly(parked: list[Parked]) -> str:
    """The last error that is the most frequent."""
    return Counter(one.last_error for one in parked).most_common(1)[0][0]

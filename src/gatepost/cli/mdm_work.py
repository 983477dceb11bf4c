"""`gatepost mdm parked | replay | release`: what a person does about devices that the bridge did not come to an end with."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from gatepost.cli.asking import require_user_id
from gatepost.cli.failure import ExitCode, Failure
from gatepost.cli.mdm_reading import DeviceKey, SourceName, read_bridge, require_source, written_for
from gatepost.cli.moments import since
from gatepost.cli.opening import opened, read_rules, read_settings
from gatepost.cli.options import AsJson, Config, Organization
from gatepost.cli.screen import answers, moment, print_json, table
from gatepost.model import Parked, canonical_device_id
from gatepost.store import mdm_applied, mdm_inbox, mdm_work
from gatepost.store.database import Reader, Store

parked = typer.Typer(help="Devices that were given up after too many attempts.", no_args_is_help=True)

_PAGE = 1000


@parked.command("list")
def list_parked(*, source: SourceName = None, config: Config = None, as_json: AsJson = False) -> None:
    """List what was given up, with the last error."""
    with opened(read_settings(config)) as store, store.read() as reader:
        found = all_parked(reader, source)
    if as_json:
        print_json([_as_json(one) for one in found])
    elif not found:
        answers().print("nothing is parked")
    else:
        rows = ((one.source, one.device_key, str(one.attempts), moment(one.parked_at), one.last_error) for one in found)
        answers().print(table(("source", "key", "attempts", "parked", "last error"), rows))


@parked.command("retry")
def retry_parked(*, source: SourceName = None, device: DeviceKey = None, config: Config = None) -> None:
    """Try again at once what was given up: all of it, a source's, or one device."""
    with opened(read_settings(config)) as store, store.bookkeeping() as writer:
        count = mdm_work.retry(writer, source, device)
    _tell(count, "is tried again", "are tried again", device)


@parked.command("drop")
def drop_parked(
    *,
    source: SourceName = None,
    device: DeviceKey = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is parked.")] = False,
    config: Config = None,
) -> None:
    """Forget what was given up; a notification, or the next sweep, brings a device back all the same."""
    if source is None and device is None and not everything:
        raise Failure(ExitCode.USAGE, "say which: --source, --device, or --all")
    with opened(read_settings(config)) as store, store.bookkeeping() as writer:
        count = mdm_work.drop(writer, source, device)
    _tell(count, "is forgotten", "are forgotten", device)


def replay(
    *,
    since_when: Annotated[
        str,
        typer.Option(
            "--since", metavar="WHEN", help="30m, 12h, 7d or 2w ago, or 2026-12-24T18:00.", show_default=False
        ),
    ],
    source: SourceName = None,
    device: DeviceKey = None,
    config: Config = None,
) -> None:
    """Look again at every device that a notification has named since then."""
    settings, bridge = read_bridge(config)
    moment_since = since(since_when, datetime.now(UTC))
    with opened(settings) as store:
        keys = {
            (name, key) for name in require_source(bridge, source) for key in _named(store, name, moment_since, device)
        }
        with store.bookkeeping() as writer:
            # many at once may be a mass change, which is for the guard to see
            count = mdm_work.dirty_many(writer, sorted(keys), urgent=device is not None)
    answers().print(f"{count} {'device is' if count == 1 else 'devices are'} looked at again")


def release(
    *,
    user: Annotated[str, typer.Argument(metavar="USER", show_default=False)],
    device: Annotated[str, typer.Argument(metavar="DEVICE", show_default=False)],
    organization_id: Organization = None,
    config: Config = None,
) -> None:
    """Give a user's device back to the bridge, after somebody edited or deleted what it had written."""
    settings, bridge = read_bridge(config)
    with opened(settings) as store:
        ruleset = read_rules(store, settings, organization_id).ruleset
        pair = (ruleset.organization.organization_id, require_user_id(ruleset, user), canonical_device_id(device))
        with store.bookkeeping() as writer:
            held = written_for(writer, bridge, ruleset.users.get(pair[1]), pair)
            theirs = [one for one in held if one.theirs_since is not None]
            for one in theirs:
                mdm_applied.delete(writer, one.target, one.organization_id, one.user_id, one.device_id)
                mdm_work.dirty(writer, one.source, one.device_key, urgent=True)
    if not theirs:
        raise Failure(
            ExitCode.NOT_FOUND,
            f"the bridge does not keep its hands off `{user}` and `{device}`: see `gatepost mdm explain`",
        )
    answers().print(
        f"the bridge looks after {user}, device {pair[2]}, again; what a person has put stays in force: gatepost override list"
    )


def all_parked(reader: Reader, source: str | None) -> list[Parked]:
    """Everything that is parked, of one source or of all."""
    found: list[Parked] = []
    after: tuple[str, str] | None = None
    while page := mdm_work.parked(reader, source=source, after=after, limit=_PAGE):
        found += page
        after = (page[-1].source, page[-1].device_key)
    return found


def _named(store: Store, source: str, moment_since: datetime, device: str | None) -> set[str]:
    """The keys of the devices that were named; page by page, because bodies come along."""
    keys: set[str] = set()
    after: tuple[datetime, str] | None = None
    with store.read() as reader:
        while page := mdm_inbox.since(reader, source, moment_since, device_key=device, after=after, limit=_PAGE):
            keys |= {one.device_key for one in page if one.device_key is not None}
            after = (page[-1].received_at, page[-1].notification_id)
    return keys


def _tell(count: int, one: str, many: str, device: str | None) -> None:
    if not count and device is not None:
        raise Failure(ExitCode.NOT_FOUND, f"device `{device}` is not parked: see `gatepost mdm parked list`")
    answers().print(f"{count} device {one}" if count == 1 else f"{count} devices {many}")


def _as_json(one: Parked) -> dict[str, object]:
    return {
        "source": one.source,
        "device_key": one.device_key,
        "attempts": one.attempts,
        "parked_at": moment(one.parked_at),
        "last_error": one.last_error,
    }

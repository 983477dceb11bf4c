"""Overrides in an organization of Amazon WorkMail, or of any server that speaks its API.

There is no transaction, no owner and no compare-and-set there: overrides carry a mark (`mark`), are read before they are
written and read back after. The SDK tries again three times within a lease; the long waits are the dirty row's.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from gatepost.mdm.sources.pacing import Pace
from gatepost.mdm.targets.base import Present
from gatepost.mdm.targets.mark import read_mark
from gatepost.model import Effect, canonical_device_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gatepost.mdm.configuration import WorkMailConfiguration

ATTEMPTS = 3
CONNECT_SECONDS = 3.0
READ_SECONDS = 8.0

_PATIENCE = 20.0  # seconds that a call waits for its turn; a lease lasts 120
_KNOWN_SECONDS = 3600.0
_UNKNOWN_SECONDS = 600.0
_PAGE = 100
# botocore checks neither pattern nor length of these.
_ORGANIZATION_ID = re.compile(r"m-[0-9a-f]{32}", re.ASCII)
_USER_ID = re.compile(r"[a-zA-Z0-9._%+@-]{1,256}", re.ASCII)
_DEVICE_ID = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)
_RETRYABLE = re.compile(
    r"Throttl|TooMany|LimitExceeded|SlowDown|Unavailable|InternalFailure|InternalError|Timeout|State"
)
_UNKNOWN = dict.fromkeys(("DeviceType", "DeviceModel", "DeviceOperatingSystem", "DeviceUserAgent"), "GatepostCheck")


class TargetUnavailable(Exception):  # noqa: N818 - it is how the target is
    """The same call may work later."""


class TargetRefused(Exception):  # noqa: N818 - it is what the target did
    """It understood and said no: a person has to look."""


class NoSuchUser(TargetRefused):
    """The user is not there, or not enabled."""


class NotEnabled(NoSuchUser):
    """The user is there: what was written for him may stand still."""


class Client(Protocol):
    """What is needed of the SDK's client: its operations, by method name."""

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        """An operation."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An override as a listing shows it."""

    user_id: str
    device_id: str
    present: Present


class WorkMailTarget:
    """The target. `client` is a parameter for tests; the SDK is loaded when the first call is made."""

    def __init__(
        self,
        configuration: WorkMailConfiguration,
        instance: str,
        *,
        name: str = "workmail",
        client: Client | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not _ORGANIZATION_ID.fullmatch(configuration.organization_id):
            raise ValueError("the id of an organization is `m-` and 32 hexadecimal digits")
        self.name = name
        self.instance = instance
        self.organization_id = configuration.organization_id
        self._configuration = configuration
        self._client = client
        self._clock = clock
        self._pace = Pace(configuration.rate, max(1, int(configuration.rate)), clock)
        self._users: dict[str, tuple[str | None, float]] = {}

    async def user_of(self, address: str) -> str | None:
        """The user id of an enabled user; None: nobody's address. Remembered for an hour, for ten minutes where it is nobody's."""
        if not _USER_ID.fullmatch(address):
            return None
        known = self._users.get(address)
        if known is not None and known[1] > self._clock():
            return known[0]
        try:
            user = await self._call("describe_user", UserId=address)
            user_id = user["UserId"] if user.get("State") == "ENABLED" else None
        except NoSuchUser:
            user_id = None
        self._users[address] = user_id, self._clock() + (_UNKNOWN_SECONDS if user_id is None else _KNOWN_SECONDS)
        return user_id

    async def get(self, user_id: str, device_id: str) -> Present | None:
        """The override that is there; `owned`: this bridge wrote exactly this."""
        try:
            found = await self._call("get_mobile_device_access_override", UserId=user_id, DeviceId=_checked(device_id))
        except _Missing:
            return None
        return self._present(found)

    async def put(self, user_id: str, device_id: str, effect: Effect, description: str) -> None:
        """Create or replace, and see that it is so. Raises NoSuchUser, TargetUnavailable, TargetRefused."""
        device = _checked(device_id)
        await self._call(
            "put_mobile_device_access_override",
            UserId=user_id,
            DeviceId=device,
            Effect=effect.value,
            Description=description,
        )
        there = await self.get(user_id, device)
        if there is None or (there.effect, there.description) != (effect, description):
            raise TargetUnavailable("the override that was written is not what is read back")

    async def delete(self, user_id: str, device_id: str) -> None:
        """Take it away, and see that it is so; none is fine."""
        device = _checked(device_id)
        await self._call("delete_mobile_device_access_override", UserId=user_id, DeviceId=device)
        if await self.get(user_id, device) is not None:
            raise TargetUnavailable("the override that was taken away is still there when read back")

    async def list(self) -> AsyncIterator[Listed]:
        """All overrides of the organization, page by page."""
        token: dict[str, str] = {}
        while True:
            page = await self._call("list_mobile_device_access_overrides", MaxResults=_PAGE, **token)
            for one in page.get("Overrides", []):
                yield Listed(one["UserId"], canonical_device_id(one["DeviceId"]), self._present(one))
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    async def effect_for_unknown(self) -> tuple[Effect, tuple[str, ...]]:
        """What the organization's rules say of a device that nobody has and nobody has vouched for, and by which of them."""
        said = await self._call("get_mobile_device_access_effect", **_UNKNOWN)
        return Effect(said["Effect"]), tuple(one["Name"] for one in said.get("MatchedRules", []) if one.get("Name"))

    def forget_users(self) -> None:
        """Ask anew whose addresses are whose."""
        self._users.clear()

    def _present(self, override: dict[str, Any]) -> Present:
        effect, description = Effect(override["Effect"]), override.get("Description")
        mark = read_mark(description)
        owned = mark is not None and mark.intact and mark.instance == self.instance[:40] and mark.effect is effect
        return Present(effect, description, None, owned)

    async def _call(self, operation: str, **parameters: object) -> dict[str, Any]:
        wait = self._pace.turn(_PATIENCE)
        if wait is None:
            raise TargetUnavailable("it has to be asked more slowly")
        await asyncio.sleep(wait)
        call = partial(self._blocking, operation, OrganizationId=self.organization_id, **parameters)
        return await asyncio.to_thread(call)

    def _blocking(self, operation: str, **parameters: object) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only who uses it loads it

        try:
            if self._client is None:
                self._client = _client(self._configuration)
            answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            raise _said(code, status) from error
        except BotoCoreError as error:  # no answer, or none in time; without credentials nothing can be asked either
            raise TargetUnavailable(f"it cannot be asked: {type(error).__name__}") from error
        return answer


class _Missing(TargetRefused):
    """There is no such override."""


def _said(code: str, status: int) -> Exception:
    if code == "ResourceNotFoundException":
        return _Missing(code)
    if code == "EntityStateException":
        return NotEnabled(code)
    if code == "EntityNotFoundException":
        return NoSuchUser(code)
    if status == 429 or status >= 500 or _RETRYABLE.search(code):
        return TargetUnavailable(f"it answered {code or status}")
    return TargetRefused(f"it answered {code or status}")


def _checked(device_id: str) -> str:
    if not _DEVICE_ID.fullmatch(device_id):
        raise TargetRefused("a DeviceId is 1 to 32 letters and digits")
    return device_id


def _client(configuration: WorkMailConfiguration) -> Client:
    import boto3  # noqa: PLC0415 - a tenth of a second that only who uses it pays
    from botocore.config import Config  # noqa: PLC0415

    client: Client = boto3.session.Session().client(
        "workmail",
        region_name=configuration.region,
        endpoint_url=configuration.endpoint_url,
        aws_access_key_id=configuration.access_key_id,
        aws_secret_access_key=configuration.secret_access_key,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
        ),
    )
    return client

"""Amazon WorkMail for the bridge's tests: its client in memory, with errors, and our own API on a socket."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections import deque

import uvicorn
from botocore.exceptions import ClientError, ConnectTimeoutError

from gatepost.control.app import create_app
from gatepost.mdm.configuration import WorkMailConfiguration
from gatepost.model import Role
from gatepost.operations import access_keys
from gatepost.operations.context import Context
from gatepost.operations.sealing import new_key
from gatepost.telemetry import new_registry
from gatepost.web.server import configuration

ORGANIZATION = "m-" + "a" * 32
CONFIGURATION = WorkMailConfiguration(ORGANIZATION, "eu-west-1", rate=10_000.0)


def refused(code: str, status: int = 400) -> ClientError:
    """What the SDK raises for an answer that is an error."""
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Anything")


UNANSWERED = ConnectTimeoutError(endpoint_url="https://workmail.example")


class WorkMailInMemory:
    """The SDK's client; `errors` come first, one for each call, None for none. `overrides` is (user id, device id) → row."""

    def __init__(self, *addresses: str) -> None:
        self.users = {address: f"S-{number}" for number, address in enumerate(addresses, 1)}
        self.overrides: dict[tuple[str, str], dict[str, str]] = {}
        self.errors: deque[Exception | None] = deque()
        self.calls: list[str] = []
        self.default = "DENY"
        self.after = None

    def effects(self) -> dict[str, str]:
        return {device_id: row["Effect"] for (_, device_id), row in self.overrides.items()}

    def _called(self, name: str) -> None:
        self.calls.append(name)
        error = self.errors.popleft() if self.errors else None
        if error is not None:
            raise error

    def describe_user(self, *, OrganizationId, UserId):
        self._called("describe_user")
        if UserId not in self.users:
            raise refused("EntityNotFoundException")
        return {"UserId": self.users[UserId], "Email": UserId, "State": "ENABLED"}

    def put_mobile_device_access_override(self, *, OrganizationId, UserId, DeviceId, Effect, Description):
        self._called("put")
        if UserId not in self.users.values():
            raise refused("EntityNotFoundException")
        row = {"UserId": UserId, "DeviceId": DeviceId, "Effect": Effect, "Description": Description}
        self.overrides[UserId, DeviceId.upper()] = row
        self._done("put")
        return {}

    def get_mobile_device_access_override(self, *, OrganizationId, UserId, DeviceId):
        self._called("get")
        if (UserId, DeviceId.upper()) not in self.overrides:
            raise refused("ResourceNotFoundException")
        return dict(self.overrides[UserId, DeviceId.upper()])

    def delete_mobile_device_access_override(self, *, OrganizationId, UserId, DeviceId):
        self._called("delete")
        self.overrides.pop((UserId, DeviceId.upper()), None)
        self._done("delete")
        return {}

    def list_mobile_device_access_overrides(self, *, OrganizationId, MaxResults, NextToken="0"):
        self._called("list")
        rows = list(itertools.islice(self.overrides.values(), int(NextToken), int(NextToken) + 2))
        following = int(NextToken) + 2
        return {"Overrides": rows} | ({"NextToken": str(following)} if following < len(self.overrides) else {})

    def get_mobile_device_access_effect(
        self, *, OrganizationId, DeviceType, DeviceModel, DeviceOperatingSystem, DeviceUserAgent
    ):
        self._called("effect")
        return {"Effect": self.default, "MatchedRules": [{"MobileDeviceAccessRuleId": "mdar-1", "Name": "Default"}]}

    def _done(self, name: str) -> None:
        """A place to die at, after something was done and before anybody heard of it."""
        if self.after is not None:
            self.after(name)


class Api:
    """Our own API on a loopback socket, and how a bridge is told of it."""

    def __init__(self, store, now, role=Role.BRIDGE) -> None:
        sealing_key = new_key()

        def context_for(caller, role=None):
            return Context(store, now, caller, role)

        key, secret = access_keys.create(context_for("test"), sealing_key, role=role)
        app = create_app(
            context_for=lambda key: context_for(key.access_key_id, key.role),
            key_of=lambda access_key_id: access_keys.valid(context_for("test"), sealing_key, access_key_id),
            now=now,
            registry=new_registry(),
            probes={},
        )
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.access = {"access_key_id": key.access_key_id, "secret_access_key": secret, "endpoint_url": self.url}
        self._uvicorn = uvicorn.Server(configuration(app))
        self._thread = threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [self._socket]})
        self._thread.start()
        while not self._uvicorn.started:
            time.sleep(0.005)

    def close(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join()
        self._socket.close()

"""The product as its users run it: `gatepost init`, then `gatepost serve` in a process of its own, asked by AWS's client."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import psycopg
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable

from tests.support import evidence
from tests.support.daemons import Daemon, free_ports, run, scratch_folder, start, wait_until

from gatepost.store import feed
from gatepost.store.database import Store

GATEPOST = Path(sys.executable).parent / "gatepost"
ORGANIZATION_ID = "m-0123456789abcdef0123456789abcdef"


class Gatepost:
    """One configuration, and the processes that serve it.

    `settings` are further variables, such as `{"GATEPOST_GATEWAY__MAX_REPLICA_AGE": "2"}`.
    """

    def __init__(self, upstream: str, *, store_url: str | None = None, settings: dict[str, str] | None = None, domain: str = "example.com") -> None:  # fmt: skip
        self.folder = scratch_folder("stack")
        self._daemons: list[Daemon] = []
        self.health_urls: dict[str, str] = {}
        gateway_port, control_port, mdm_port = free_ports(3)
        self.environment = clean_environment() | {
            "GATEPOST_GATEWAY__LISTEN": f"127.0.0.1:{gateway_port}",
            "GATEPOST_CONTROL__LISTEN": f"127.0.0.1:{control_port}",
            "GATEPOST_MDM__LISTEN": f"127.0.0.1:{mdm_port}",
            **({"GATEPOST_STORE__URL": store_url} if store_url else {}),
            **(settings or {}),
        }
        command = [GATEPOST, "init", "--json", "--directory", self.folder, "--organization-id", ORGANIZATION_ID, "--domain", domain, "--upstream", upstream]  # fmt: skip
        self.initial: dict[str, str] = json.loads(self._run(command))
        evidence.key_file(self.folder / "gatepost.key")
        self.configuration = self.folder / Path(self.initial["config"]).name
        self.organization_id = self.initial["organization_id"]
        self.gateway_url = f"http://127.0.0.1:{gateway_port}/Microsoft-Server-ActiveSync"
        self.control_url = f"http://127.0.0.1:{control_port}"
        self.mdm_url = f"http://127.0.0.1:{mdm_port}/mdm"
        self.store_url = store_url or f"sqlite:///{self.folder / 'gatepost.db'}"
        self.client = self.new_client()

    def new_client(self, make: Callable[..., Any] | None = None) -> Any:
        """A client of the control API; `make` is `boto3.client` where that is installed, else botocore's own maker."""
        return (make or botocore.session.Session().create_client)(
            "workmail",
            endpoint_url=self.control_url,
            region_name="us-east-1",
            aws_access_key_id=self.initial["access_key_id"],
            aws_secret_access_key=self.initial["secret_access_key"],
            config=Config(retries={"max_attempts": 0}),
        )

    def serve(self, role: str = "all", settings: dict[str, str] | None = None) -> Daemon:
        """Start `gatepost serve` and return when it is ready; several roles may run at once.

        A gateway of its own has its health and metrics at `health_urls[role]`, as everyone else.
        """
        environment = self.environment | (settings or {})
        if role == "gateway":
            environment["GATEPOST_CONTROL__LISTEN"] = f"127.0.0.1:{free_ports(1)[0]}"
        self.health_urls[role] = "http://" + environment[f"GATEPOST_{'MDM' if role == 'mdm' else 'CONTROL'}__LISTEN"]
        daemon = start(
            f"gatepost-{role}-{len(self._daemons)}",
            [GATEPOST, "serve", "--config", self.configuration, "--role", role],
            log=self.folder / f"serve-{role}-{len(self._daemons)}.log",
            env=environment,
            cwd=self.folder,
        )
        self._daemons.append(daemon)
        wait_until(
            lambda: answered(f"{self.health_urls[role]}/readyz"),
            f"gatepost serve --role {role} is ready",
            alive=[daemon],
        )
        return daemon

    def pid(self, role: str = "all") -> int:
        """The process of the last one that was started in that role."""
        return next(
            daemon.process.pid for daemon in reversed(self._daemons) if daemon.name.startswith(f"gatepost-{role}")
        )

    def ready(self, role: str = "all") -> tuple[int, dict[str, Any]]:
        """What /readyz says: the HTTP status and the JSON."""
        try:
            with urllib.request.urlopen(f"{self.health_urls[role]}/readyz", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def metrics(self, role: str = "all") -> dict[str, float]:
        """What /metrics says, by sample name with its labels."""
        with urllib.request.urlopen(f"{self.health_urls[role]}/metrics", timeout=10) as answer:
            lines = [line for line in answer.read().decode().splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def wait_followed(self, role: str = "all") -> None:
        """Return when the gateway goes by the rules that the store holds: within a second of the API's answer."""
        store = Store.open(self.store_url)
        try:
            revision = feed.load(store).revision
        finally:
            store.close()
        wait_until(
            lambda: self.metrics(role)["gatepost_replica_revision"] >= revision, "the gateway follows", seconds=1
        )

    def wait_parked(self, count: int, role: str = "all") -> None:
        """Return when that many requests wait at the mail server."""
        wait_until(lambda: self.metrics(role)["gatepost_parked_requests"] >= count, f"{count} requests are parked")

    def stop(self) -> None:
        """Stop every process and remove the folder; what they have left is evidence (`tests.support.secrets`)."""
        for role, daemon in zip(self.health_urls, self._daemons, strict=False):
            if daemon.alive():
                with contextlib.suppress(OSError):
                    self.metrics(role)
        for daemon in reversed(self._daemons):
            daemon.stop()
        for daemon in self._daemons:
            evidence.process_log(daemon.name, daemon.log)
        with contextlib.suppress(psycopg.OperationalError):  # a test may have stopped PostgreSQL
            evidence.store_of(self.store_url)
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- what an administrator does

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """One operation of the API in this organization, by its name in snake case."""
        answer: dict[str, Any] = getattr(self.client, operation)(OrganizationId=self.organization_id, **parameters)
        return answer

    def override(self, user: str, device_id: str, effect: str) -> None:
        """PutMobileDeviceAccessOverride."""
        self.call("put_mobile_device_access_override", UserId=user, DeviceId=device_id, Effect=effect)

    def only_device_rules(self, *rules: dict[str, Any]) -> list[str]:
        """Replace the device rules by these; their ids."""
        for rule in self.call("list_mobile_device_access_rules")["Rules"]:
            self.call("delete_mobile_device_access_rule", MobileDeviceAccessRuleId=rule["MobileDeviceAccessRuleId"])
        return [self.call("create_mobile_device_access_rule", **rule)["MobileDeviceAccessRuleId"] for rule in rules]

    def gatepost(self, *arguments: str) -> str:
        """Run a `gatepost` command with this configuration."""
        return self._run([GATEPOST, *arguments, "--config", self.configuration])

    def _run(self, command: list[str | Path]) -> str:
        out = run(command, env=self.environment, cwd=self.folder)
        evidence.command_output(" ".join(["gatepost", *map(str, command[1:3])]), out)
        return out

    def device(self, device_id: str, **expected: object) -> dict[str, Any]:
        """The device of that id, once it is written down with what is expected of it: that happens in batches."""
        deadline = time.monotonic() + 30
        while True:
            for device in self.devices():
                if device["device_id"] == device_id and expected.items() <= device.items():
                    return device
            if time.monotonic() > deadline:
                raise TimeoutError(f"no device `{device_id}` with {expected} in {self.devices()}")
            time.sleep(0.2)

    def devices(self) -> list[dict[str, Any]]:
        """What `gatepost devices list --json` says."""
        listed = json.loads(self.gatepost("devices", "list", "--json"))
        return listed if isinstance(listed, list) else listed["devices"]


def clean_environment() -> dict[str, str]:
    """Ours without GATEPOST_* and AWS_* variables of whoever runs the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("GATEPOST_", "AWS_"))}


def answered(url: str) -> bool:
    """True when there is an HTTP answer below 500."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False
    return True

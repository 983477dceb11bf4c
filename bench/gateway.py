"""Throughput and CPU seconds per request of the gateway, beside nginx, nginx + auth_request, and Envoy, in one run.

Each round drives every proxy once with wrk (32 connections, keep-alive), so that a slow minute of the machine is slow
for all. What counts is CPU time per completed request, of all processes of a proxy: it is what a server costs when it
is not alone on its machine. The gateway decides each request by its rules; the bare proxies decide nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import phones
from bench.measure import cpu_seconds, median, table, target
from bench.proxies import Subject, missing, start_auth_request, start_envoy, start_gatepost, start_nginx, start_upstream

if TYPE_CHECKING:
    from tests.support.stack import Gatepost

CONNECTIONS = 32
DEVICES = 200
GATEPOST, NGINX, AUTH_REQUEST, ENVOY = (
    "gatepost",
    "nginx, bare proxy_pass",
    "nginx + auth_request to uvicorn",
    "Envoy, bare proxy",
)

# Ten rules as an organization has them; devices with an even number pass by the second one, the others by an override.
RULES: list[dict[str, Any]] = [
    {"Name": "No old phones", "Effect": "DENY", "DeviceTypes": ["BlackBerry", "Palm", "WP7"]},
    {"Name": "iPhones", "Effect": "ALLOW", "DeviceTypes": ["iPhone", "iPad"]},
    {"Name": "No Outlook mobile", "Effect": "DENY", "DeviceUserAgents": ["Outlook-iOS-Android"]},
    {"Name": "No scripts", "Effect": "DENY", "DeviceUserAgents": ["python", "curl", "Wget"]},
    {"Name": "No emulators", "Effect": "DENY", "DeviceTypes": ["BlueStacks", "Nox", "Genymotion"]},
    {"Name": "Nine", "Effect": "ALLOW", "DeviceUserAgents": ["Nine"]},
    {"Name": "TbSync", "Effect": "ALLOW", "DeviceTypes": ["TbSync"]},
    {"Name": "No test devices", "Effect": "DENY", "DeviceTypes": ["Test", "validate"]},
    {"Name": "Windows", "Effect": "ALLOW", "DeviceTypes": ["WindowsMail"]},
    {
        "Name": "No others",
        "Effect": "DENY",
        "NotDeviceTypes": ["iPhone", "iPad", "SAMSUNG", "TbSync", "WindowsMail", "Nine"],
    },
]


@dataclass(frozen=True)
class Sample:
    """One round of one proxy; times in microseconds."""

    requests: int
    per_second: float
    cpu_us: float
    p50_us: float
    p99_us: float


def administer(product: Gatepost) -> None:
    """Ten device rules, and an override for every other device."""
    for rule in product.call("list_mobile_device_access_rules")["Rules"]:
        product.call("delete_mobile_device_access_rule", MobileDeviceAccessRuleId=rule["MobileDeviceAccessRuleId"])
    for rule in RULES:
        product.call("create_mobile_device_access_rule", **rule)
    for number in range(1, DEVICES, 2):
        product.override(phones.login(number), phones.device_id(number), "ALLOW")


async def introduce(port: int) -> None:
    """Each device says what it is, and is let through: what is measured afterwards are no refusals."""
    phones.close(await phones.connect(port, range(DEVICES), identify=True))


def drive(subject: Subject, seconds: float, credentials_file: Path) -> Sample:
    """One wrk run."""
    command = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds:g}s",
        "--latency",
        "-s",
        str(Path(__file__).with_name("requests.lua")),
        f"http://127.0.0.1:{subject.port}",
    ]
    before = cpu_seconds(subject.pids())
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"BENCH_CREDENTIALS": str(credentials_file)},
    )
    used = cpu_seconds(subject.pids()) - before
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    result = json.loads(line.removeprefix("RESULT "))
    if result["bad"] or not result["requests"]:
        raise RuntimeError(f"{subject.name}: {result['bad']} of {result['requests']} requests failed")
    per_second = result["requests"] / result["seconds"]
    return Sample(result["requests"], per_second, used / result["requests"] * 1e6, result["p50_us"], result["p99_us"])


def measure(rounds: int, seconds: float) -> dict[str, list[Sample]]:
    """Every proxy in every round; the first round warms up and is thrown away."""
    samples: dict[str, list[Sample]] = {}
    upstream, upstream_port = start_upstream()
    subjects: list[Subject] = []
    try:
        ours, product = start_gatepost(upstream_port)
        subjects.append(ours)
        administer(product)
        asyncio.run(introduce(ours.port))
        subjects += [start_nginx(upstream_port), start_auth_request(upstream_port, DEVICES)]
        envoy = start_envoy(upstream_port)
        subjects += [envoy] if envoy else []
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.writelines(
                base64.b64encode(f"{phones.login(n)}:{phones.PASSWORD}".encode()).decode() + "\n"
                for n in range(DEVICES)
            )
            file.flush()
            for number in range(rounds + 1):
                for subject in subjects:
                    sample = drive(subject, seconds if number else 1, Path(file.name))
                    if number:
                        samples.setdefault(subject.name, []).append(sample)
    finally:
        for subject in subjects:
            subject.stop()
        upstream.stop()
    return samples


def report(samples: dict[str, list[Sample]]) -> str:
    """The table and what became of the targets."""
    ours = median([s.cpu_us for s in samples[GATEPOST]])
    rows = []
    for name, taken in samples.items():
        cpu = [s.cpu_us for s in taken]
        ratio = median([s.cpu_us / o.cpu_us for s, o in zip(taken, samples[GATEPOST], strict=True)])
        rows.append([
            name,
            f"{median(cpu):.1f}",
            f"{min(cpu):.1f}-{max(cpu):.1f}",
            f"{1e6 / median(cpu):,.0f}",
            f"{ratio:.2f}",
            f"{median([s.per_second for s in taken]):,.0f}",
            f"{median([s.p50_us for s in taken]) / 1000:.2f}",
            f"{median([s.p99_us for s in taken]) / 1000:.2f}",
        ])  # fmt: skip
    head = ["proxy", "CPU µs/request", "range", "requests/CPU s", "against ours", "requests/s", "p50 ms", "p99 ms"]
    lines = [
        table(f"Small FolderSync, {CONNECTIONS} connections, median of {len(samples[GATEPOST])} rounds", head, rows),
        "",
    ]
    lines.append(
        target(
            "requests per CPU second, gatepost : bare nginx",
            median([n.cpu_us / o.cpu_us for n, o in zip(samples[NGINX], samples[GATEPOST], strict=True)]),
            0.5,
            at_least=True,
        )
    )
    lines.append(
        target(
            "CPU per request, gatepost : nginx + auth_request",
            ours / median([s.cpu_us for s in samples[AUTH_REQUEST]]),
            1,
        )
    )
    if ENVOY in samples:
        lines.append(target("CPU per request, gatepost : Envoy", ours / median([s.cpu_us for s in samples[ENVOY]]), 1))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    if reason := missing():
        raise SystemExit(f"left out: {reason}")
    print(report(measure(options.rounds, options.seconds)))


if __name__ == "__main__":
    main()

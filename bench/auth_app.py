"""The other way to do it: an app that nginx asks by `auth_request`, written as lean as ASGI allows.

It answers from a dict in memory whether (user, device) may pass: Basic credentials and the query's DeviceId are read,
nothing is verified, refused in WBXML, followed or cut. uvicorn runs it with uvloop and httptools.
"""

from __future__ import annotations

import base64
import os
from typing import Any
from urllib.parse import parse_qsl

ALLOWED: dict[tuple[str, str], bool] = {
    (f"user{n}@example.com", f"BENCHDEVICE{n:06}"): True for n in range(int(os.environ.get("BENCH_DEVICES", "200")))
}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    login = device = ""
    for name, value in scope["headers"]:
        if name == b"authorization":
            login = base64.b64decode(value[6:]).decode().partition(":")[0]
        elif name == b"x-original-uri":
            device = dict(parse_qsl(value.decode().partition("?")[2])).get("DeviceId", "").upper()
    status = 204 if ALLOWED.get((login, device)) else 403
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})

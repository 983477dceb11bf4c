"""Which process this is, in a word that another one on the same machine can look up: whether it still lives.

What a process had claimed when it was killed is nobody's, and whoever starts next on the machine need not wait for its leases.
The word names the host, the boot and the namespace of process numbers, so that a container is not asked about what lives in another
one, the process, and when that began, because numbers are used again. Linux; elsewhere nobody is known to be dead, and leases end by themselves.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

_NUMBERS = Path("/proc/self/ns/pid")
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def this_process() -> str:
    """The word for this process."""
    return _word(os.getpid(), _started(os.getpid()) or "")


def is_dead(word: str) -> bool:
    """Whether the process that the word is for was one of this machine's, and is not there any more."""
    host, boot, pid, started = (word.split("/") + [""] * 4)[:4]
    if not started or not pid.isdecimal() or f"{host}/{boot}" != _machine():
        return False
    return _started(int(pid)) != started


def _word(pid: int, started: str) -> str:
    return f"{_machine()}/{pid}/{started}"


def _machine() -> str:
    try:
        boot, numbers = _BOOT.read_text(encoding="ascii").strip(), str(_NUMBERS.readlink())
    except OSError:
        boot, numbers = "", ""
    return f"{socket.gethostname().replace('/', '-')[:64]}/{boot} {numbers}"


def _started(pid: int) -> str | None:
    """When the process began, in ticks since the boot (proc(5), field 22 of stat); None when there is none that runs."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]

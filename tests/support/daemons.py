"""Daemons for tests: in the foreground, each as its own user, logged to a file, and gone when the test run is gone."""

from __future__ import annotations

import fcntl
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"

_RESERVED: dict[int, IO[bytes]] = {}


@dataclass
class Daemon:
    """A process that was started and can be stopped, with everything that it started."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals

    def alive(self) -> bool:
        """True while the process has not ended."""
        return self.process.poll() is None

    def stop(self, *, seconds: float = 10.0) -> None:
        """Ask it to end, then kill what is left of it and of its children."""
        family = process_tree(self.process.pid) if self.alive() else []
        if self.alive():
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        for pid, started in family:
            if pid != self.process.pid and start_time(pid) == started:
                os.kill(pid, signal.SIGKILL)
        self.process.wait(seconds)

    def kill(self) -> None:
        """End it as a power failure would (SIGKILL), children included."""
        for pid, started in process_tree(self.process.pid):
            if start_time(pid) == started:
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)

    def said(self) -> str:
        """The last lines of its log, for a failure's message."""
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else "(no log)"


def start(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    orphan_signal: str = "TERM",
) -> Daemon:
    """Start `command` in the foreground, as `user` when we are root; `orphan_signal` reaches it if we die first.

    To be called from the main thread: Linux sends the signal when the *thread* that started it ends.
    """
    environment = dict(env) if env is not None else dict(os.environ)
    environment.setdefault("PATH", SBIN + ":" + os.environ.get("PATH", "/usr/bin:/bin"))
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*as_user(user), "setpriv", f"--pdeathsig={orphan_signal}", "--", *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=cwd,
            start_new_session=True,
        )
    return Daemon(name, process, log, stop_signal)


def as_user(user: str | None) -> list[str]:
    """The command prefix that drops root's rights for those of `user`; empty when we are not root."""
    if user is None or os.getuid() != 0:
        return []
    group = pwd.getpwnam(user).pw_gid
    return ["setpriv", f"--reuid={user}", f"--regid={group}", "--init-groups", "--inh-caps=-all", "--"]


def run(command: Sequence[str | Path], *, user: str | None = None, **options: object) -> str:
    """Run `command` to its end and return what it printed; a failure shows it all."""
    done = subprocess.run(  # type: ignore[call-overload]
        [*as_user(user), *map(str, command)], capture_output=True, text=True, check=False, timeout=60, **options
    )
    if done.returncode != 0:
        raise RuntimeError(f"`{command[0]}` ended with {done.returncode}: {done.stdout}{done.stderr}")
    return str(done.stdout)


def start_time(pid: int) -> str | None:
    """When the process started, in clock ticks since boot; None when there is none or it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def process_tree(pid: int) -> list[tuple[int, str]]:
    """(pid, start time) of the process and of all its descendants that live."""
    started = start_time(pid)
    if started is None:
        return []
    family = [(pid, started)]
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return family
    for child in children:
        family += process_tree(int(child))
    return family


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on, below the range from which the kernel takes ports of outgoing connections.

    They are this process's until it ends, listened at or not: other test runs and workers get others.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(12000, 32000)
        if _reserved(port):
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            found.append(port)
    return found


def _reserved(port: int) -> bool:
    """Take the port's lock file for as long as this process lives; False when somebody has it, ourselves included."""
    if port in _RESERVED:
        return False
    folder = Path(tempfile.gettempdir()) / f"gatepost-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = (folder / str(port)).open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return False
    _RESERVED[port] = lock
    return True


def port_answers(port: int) -> bool:
    """True when something accepts connections on the loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(
    condition: Callable[[], object], what: str, *, seconds: float = 45.0, alive: Iterable[Daemon] = ()
) -> None:
    """Poll `condition` until it is true; a sentence about `what` when it never is or one of `alive` has ended."""
    deadline = time.monotonic() + seconds
    watched = tuple(alive)
    while not condition():
        for daemon in watched:
            if not daemon.alive():
                raise RuntimeError(f"{daemon.name} ended with {daemon.process.returncode}: {daemon.said()}")
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"{what}: not within {seconds:g} s" + "".join(f"\n{d.name}: {d.said()}" for d in watched)
            )
        time.sleep(0.02)


def scratch_folder(name: str) -> Path:
    """A new folder that daemons of other users can enter (a checkout below /root is none)."""
    folder = Path(tempfile.mkdtemp(prefix=f"gatepost-{name}-", dir="/var/tmp"))
    folder.chmod(0o755)
    return folder


def program(name: str) -> str | None:
    """Where a program is; /usr/sbin is looked at even when it is not in the PATH."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":" + SBIN)

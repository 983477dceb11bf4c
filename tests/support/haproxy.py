"""HAProxy for tests: one configuration, in the foreground, below a scratch folder."""

from __future__ import annotations

import shutil

from tests.support.daemons import Daemon, port_answers, program, scratch_folder, start, wait_until

_GLOBAL = "global\n  maxconn 1000\n"


def missing() -> str | None:
    """Why HAProxy cannot be started here, in a sentence; None when it can."""
    return None if program("haproxy") else "not installed: haproxy (`make test` installs it)"


class Haproxy:
    """A running HAProxy; `sections` are what stands behind `global`."""

    def __init__(self, sections: str, *, port: int) -> None:
        self.root = scratch_folder("haproxy")
        self.port = port
        configuration = self.root / "haproxy.cfg"
        configuration.write_text(_GLOBAL + sections)
        self.daemon: Daemon = start(
            "haproxy", [program("haproxy") or "haproxy", "-db", "-f", configuration], log=self.root / "haproxy.out"
        )

    def wait(self) -> None:
        """Return when it listens."""
        wait_until(lambda: port_answers(self.port), "haproxy listens", alive=[self.daemon])

    def stop(self) -> None:
        """Stop it and remove its folder."""
        self.daemon.stop()
        shutil.rmtree(self.root, ignore_errors=True)

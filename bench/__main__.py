"""Every benchmark, one after the other: `python -m bench [NAME …]`; a missing program leaves its part out."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path

NAMES = ("decisions", "gateway", "parked", "cut", "mdm", "hostile")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    names = parser.parse_args().names or list(NAMES)
    if unknown := set(names) - set(NAMES):
        parser.error(f"expected {', '.join(NAMES)}, got `{unknown.pop()}`")
    print(f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}", flush=True)
    # each in a process of its own: what one leaves behind in memory must not be measured by the next
    root = Path(__file__).parent.parent
    codes = [
        subprocess.run([sys.executable, "-m", f"bench.{name}"], cwd=root, check=False).returncode for name in names
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())

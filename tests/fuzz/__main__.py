"""`python -m tests.fuzz`."""

import sys

from tests.fuzz.command import main

# Processes that are made for a run import this too.
if __name__ == "__main__":
    sys.exit(main())

"""Runs the command line: `python -m bucketry`."""

from __future__ import annotations

import sys

from bucketry._cli.main import main

if __name__ == "__main__":
    sys.exit(main())

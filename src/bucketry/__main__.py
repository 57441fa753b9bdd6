"""Runs the command line: `python -m bucketry`, and the program `bucketry`."""

from __future__ import annotations

import gc
import sys


def main() -> int:
    """Run the command line of this process, and return its exit code."""
    # Modules leave no garbage while they load, and the searches for it would take a tenth of the start. `_cli.main`
    # enables the collector when they are loaded.
    gc.disable()
    from bucketry._cli.main import main as run

    try:
        return run()
    finally:  # the process ends: without this, the interpreter would search all objects for garbage
        gc.freeze()


if __name__ == "__main__":
    sys.exit(main())

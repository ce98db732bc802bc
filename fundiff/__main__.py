"""Run the command line: `python -m fundiff`."""

import sys

from fundiff.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m lhrcnn` is the `lhrcnn` command."""

import sys

from lhrcnn import cli

if __name__ == "__main__":
    sys.exit(cli.main())

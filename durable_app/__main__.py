"""``python -m durable_app``: the same command as ``func``."""

import sys

from durable_app.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m api_stub.cli`: how `serve` starts its parts."""

import sys

from api_stub.cli import main

if __name__ == "__main__":
    sys.exit(main())

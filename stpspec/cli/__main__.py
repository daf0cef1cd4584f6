"""``python -m stpspec.cli``: the command."""

import sys

from stpspec.cli.main import main

if __name__ == "__main__":  # worker processes import it again
    sys.exit(main())

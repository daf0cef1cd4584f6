"""``python -m stpspec.cli``: the command."""

import sys

from stpspec.cli.main import main

sys.exit(main())

"""Where is kept what can be made again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(what: str) -> Path:
    """Return the folder of one kind of things; ``STPSPEC_CACHE`` overrides the user's cache."""
    import platformdirs

    root = os.environ.get("STPSPEC_CACHE") or platformdirs.user_cache_dir("stpspec")
    return Path(root).expanduser() / what

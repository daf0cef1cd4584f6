"""The one function that turns content into a key."""

from __future__ import annotations

import hashlib
from pathlib import Path


def content_key(*parts: str | bytes) -> str:
    """Return the sha256 (hexadecimal) of some texts or bytes, in order, unambiguously joined."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Return the sha256 (hexadecimal) of the bytes of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()

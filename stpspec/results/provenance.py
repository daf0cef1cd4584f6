"""Provenance of a result: the source files and the versions that it was made with."""

from __future__ import annotations

import functools
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from stpspec.engine.binding.bind import bind
from stpspec.engine.binding.source_files import source_paths
from stpspec.resources import file_sha256, remember_code
from stpspec.specs.experiment import Experiment


@dataclass(frozen=True)
class Sources:
    """The mechanisms, templates and plug-ins of an experiment, by ``mod/NAME`` and so on.

    Attributes
    ----------
    texts : dict of str to str
    sha256 : dict of str to str
        Of the bytes of each file, hexadecimal.
    """

    texts: dict[str, str]
    sha256: dict[str, str]


def read_sources(paths: Mapping[str, Path]) -> Sources:
    """Return the texts and hashes of some source files, which this process has loaded."""
    texts = {n: p.read_text(encoding="utf-8", errors="replace") for n, p in paths.items()}
    hashes = {n: file_sha256(p) for n, p in paths.items()}
    # They have been run: a result that holds them, or what is written of them, may run them again.
    remember_code({*hashes.values(), *(sha256(t.encode()).hexdigest() for t in texts.values())})
    return Sources(texts, hashes)


def sources_of(experiment: Experiment) -> Sources:
    """Return the sources of an experiment, as NEURON has loaded them."""
    return read_sources(source_paths(bind(experiment)))


def versions() -> dict[str, str]:
    """Return the versions of Python, stpspec and what it computes with."""
    return dict(_versions())


@functools.cache
def _versions() -> dict[str, str]:
    names = ("stpspec", "neuron", "numpy", "scipy", "xarray", "optuna", "pydantic")
    return {"python": platform.python_version(), **{n: version(n) for n in names}}

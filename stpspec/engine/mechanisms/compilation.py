"""Compilation of .mod files into shared libraries, each kept under the key of its content."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from stpspec.engine import nrn
from stpspec.engine.mechanisms import compiler_messages, nmodl
from stpspec.errors import MechanismError
from stpspec.resources import cache_folder, content_key


def compile_library(paths: Sequence[Path]) -> Path:
    """Compile .mod files into a shared library, or return the cached one of the same content.

    Raises
    ------
    MechanismError
        With the compiler's own message, file and line.
    """
    from filelock import FileLock

    # Compiled under the name of the mechanism: that of a file may be one that C++ cannot take, and
    # two folders may hold files of one name.
    named = dict(sorted(nmodl.declared_in(paths).items()))
    parts = [part for name, p in named.items() for part in (name, *nmodl.contents(p))]
    key = content_key(*parts, nrn.version(), platform.platform(), platform.python_version())
    root = cache_folder("mechanisms")
    final = root / key
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{key}.lock"):
            if not final.exists():
                build = Path(tempfile.mkdtemp(dir=root, prefix="build-"))
                try:
                    _nrnivmodl(build, named)
                    build.replace(final)
                finally:
                    shutil.rmtree(build, ignore_errors=True)
    except OSError as error:
        raise MechanismError(
            f"compiled mechanisms cannot be kept in {root}: {error.strerror or error}; name a "
            f"folder that can be written in the environment variable STPSPEC_CACHE"
        ) from error
    return _library_in(final)


def _library_in(folder: Path) -> Path:
    # NEURON 9 puts it into x86_64/, NEURON 8.2 into x86_64/.libs/; arm64 on other machines.
    for pattern in ("*/libnrnmech.*", "*/.libs/libnrnmech.*"):
        hits = [p for p in sorted(folder.glob(pattern)) if p.suffix in (".so", ".dylib")]
        if hits:
            return hits[0]
    raise MechanismError(f"{folder} holds no compiled library; delete this folder and try again")


def _nrnivmodl(build: Path, named: Mapping[str, Path]) -> None:
    for name, path in named.items():
        includes = nmodl.included_in(path)
        if includes:
            (build / f"{name}.mod").write_text(nmodl.flattened(path), encoding="utf-8")
        else:
            shutil.copy2(path, build / f"{name}.mod")
        for written, included in includes.items():
            place = build / nmodl.flat_name(written)
            content = nmodl.flattened(included)
            if place.exists() and place.read_text(encoding="utf-8") != content:
                raise MechanismError(
                    f"two files called {place.name!r} are included, and differ: that of {path} is "
                    f"{included}; give one of them another name"
                )
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content, encoding="utf-8")
    tool = Path(sys.executable).with_name("nrnivmodl")
    command = str(tool) if tool.exists() else shutil.which("nrnivmodl")
    if command is None:
        raise MechanismError("nrnivmodl was not found; install NEURON again: pip install neuron")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    for needed, source in _programs():
        if shutil.which(needed, path=path) is None:
            raise MechanismError(
                f"compiling mechanisms needs {needed}{source}, which is not installed "
                f"(Debian and Ubuntu: apt-get install g++ make)"
            )
    done = subprocess.run(
        [command, "."], cwd=build, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        check=False, errors="replace",
        # All that is wrong, not the first; and in the language that is understood here.
        env={**os.environ, "PATH": path, "MAKEFLAGS": "k", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    if done.returncode != 0 or not any(build.rglob("libnrnmech.*")):
        raise MechanismError(compiler_messages.summary(done.stdout + "\n" + done.stderr, named))


def _programs() -> list[tuple[str, str]]:
    """Return what nrnivmodl calls, as it chooses it, and where that is written."""
    variables = ["CXX"] if int(nrn.version().partition(".")[0]) >= 9 else ["CC", "CXX"]
    programs = [("make", "")]
    for variable in variables:
        named = os.environ.get(variable)
        words = shlex.split(named or sysconfig.get_config_var(variable) or "")
        source = f" (the environment variable {variable})" if named else ""
        if words:
            programs.insert(0, (words[0], source))
    return programs

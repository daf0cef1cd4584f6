"""Errors of composition: what Hydra, OmegaConf and YAML raise, in plain words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stpspec.errors import StpspecError, unknown_name
from stpspec.resources import ALL_GROUPS

if TYPE_CHECKING:
    from hydra.errors import MissingConfigException


class ConfigError(StpspecError):
    """A configuration cannot be composed: broken YAML, an unknown group choice or override."""


class OverrideError(ConfigError):
    """An override on the command line cannot be read, or there is nothing that it can change."""

    exit_code = 2


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise what Hydra, OmegaConf and YAML raise as one readable ConfigError."""
    import yaml
    from hydra.errors import HydraException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except StpspecError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f"{mark.name}:{mark.line + 1}: " if mark else ""
        raise ConfigError(f"{at}this is not valid YAML: {error.problem or error}") from error
    except yaml.reader.ReaderError as error:  # a character that YAML does not allow
        text = Path(str(error.name)).read_text(encoding="utf-8", errors="replace")
        line = text.count("\n", 0, error.position) + 1
        rule = f"this is not valid YAML: {error.reason}: U+{error.character:04X}"
        raise ConfigError(f"{error.name}:{line}: {rule}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"this is not valid YAML: {error}") from error
    except MissingConfigException as error:
        raise ConfigError(_missing(error)) from error
    except (HydraException, OmegaConfBaseException) as error:
        text = plain(error) or f"not valid ({type(error).__name__})"
        if text.startswith("Error merging override "):  # Hydra keeps the reason to itself
            why = str(error.__cause__ or "not valid").splitlines()[0]
            if why.startswith("Cannot merge "):
                why = "a list cannot stand where a mapping is expected, nor a mapping for a list"
            text = f"the override {text.split(' ', 3)[3].lstrip('+')!r} cannot be used: {why}"
        raise ConfigError(text) from error
    except (ValueError, TypeError, OSError, AttributeError, AssertionError) as error:
        # Hydra lets these through for files and overrides that have not the shape it expects.
        raise ConfigError(f"the configuration cannot be composed: {error}") from error


def _missing(error: MissingConfigException) -> str:
    group, _, name = str(error.missing_cfg_file or "").rpartition("/")
    if not group:
        return plain(error)
    known = [o for o in error.options or [] if not o.startswith("_")]
    if not known and not group.startswith("experiment"):
        return str(unknown_name("group", group, (*ALL_GROUPS, "experiment")))
    text = str(unknown_name(group, name, known))
    if group.startswith("experiment"):
        text += " In the defaults list of an experiment, groups begin with a slash: /model."
    return text


def plain(error: Exception) -> str:
    """Return the message of a foreign error without its hints on Hydra's own flags."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Hydra's hints on its own flags and search path do not help here; a field's full key does.
    noise = ("Set the env", "object_type=", "reference_type=", "Config search path", "provider=",
             "See https://hydra.cc", "^")  # fmt: skip
    return "\n  ".join(line for line in lines if not line.startswith(noise))

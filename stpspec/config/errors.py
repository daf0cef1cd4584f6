"""Errors of composition: what Hydra, OmegaConf and YAML raise, in plain words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stpspec.config.choices import unknown_choice
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
    except yaml.YAMLError as error:
        from stpspec.config.yaml_files import explained, text_of

        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        name = str(mark.name if mark else getattr(error, "name", "") or "the file")
        file = Path(name)
        text = text_of(file) if file.is_file() else ""
        raise ConfigError(explained(error, text, name)) from error
    except MissingConfigException as error:
        raise ConfigError(_missing(error)) from error
    except (HydraException, OmegaConfBaseException) as error:
        text = plain(error) or f"not valid ({type(error).__name__})"
        if text.startswith("Error merging override "):  # Hydra keeps the reason to itself
            why = str(error.__cause__ or "not valid").splitlines()[0]
            if why.startswith("Cannot merge "):
                why = "a list cannot stand where a mapping is expected, nor a mapping for a list"
            override = text.split(" ", 3)[3].lstrip("+")
            if override.startswith("parameters."):
                why += f"; bounds are '{override.partition('=')[0]}={{min: 0.1, max: 0.9}}'"
            text = f"the override {override!r} cannot be used: {why}"
        raise ConfigError(_in_our_words(text)) from error
    except RecursionError as error:
        raise ConfigError("values of the configuration refer to themselves") from error
    except (ValueError, TypeError, OSError, AttributeError, AssertionError) as error:
        # Hydra lets these through for files and overrides that have not the shape it expects.
        raise ConfigError(f"the configuration cannot be composed: {error}") from error


# What Hydra says → what it means, with what it names.
_PHRASES = {
    r"Could not override '([^']+)'.*": "there is no {0} to be replaced: +{0}=… adds it",
    r"Could not append to config.*at '([^']+)'.*": "{0} is there already: leave out the +",
    r"(?:\S+@)?(\S+) appears more than once in the final defaults list.*":
        "{0} is chosen twice: GROUP@{0}=… without + replaces it, and a defaults list names it once",
    r"Multiple values for (\S+)\. .*": "{0} is chosen twice: name it once",
    r"Cannot merge .*": "a list cannot stand where a mapping is expected, nor a mapping for a list",
    r"Interpolation key '([^']+)' not found.*full_key: (\S+)":
        "{1}: ${{{0}}} refers to a field that is not there",
    r"Unsupported interpolation type (\S+).*": "${{{0}:…}} is nothing that can be filled in here",
}  # fmt: skip


def _in_our_words(text: str) -> str:
    for pattern, words in _PHRASES.items():
        if match := re.match(pattern, text, re.DOTALL):
            return words.format(*match.groups())
    return text


def _missing(error: MissingConfigException) -> str:
    group, _, name = str(error.missing_cfg_file or "").rpartition("/")
    if not group:
        return plain(error)
    known = [o for o in error.options or [] if not o.startswith("_")]
    if not known and not group.startswith("experiment"):
        return str(unknown_name("group", group, (*ALL_GROUPS, "experiment")))
    text = unknown_choice(group, name, known)
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

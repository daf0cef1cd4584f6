"""Hydra plug-ins that find ``experiments/<slug>/experiment.yaml``, and files given by path."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf, open_dict

from stpspec.config.safeguards import refuse_unsafe, without_passwords
from stpspec.config.yaml_files import document, file_named, mapping_in
from stpspec.specs.places import nested

_GROUP = "experiment"
_KINDS = ("recording", "fitter")  # groups that config.yaml always chooses
PARAMETERS = ("parameters", "model.fixed")  # whose names may be dotted paths


@dataclass
class State:
    """What the sources serve at the moment.

    Attributes
    ----------
    folders : list of Path
        Further configuration folders (``--config-dir``).
    experiments : list of Path
        Folders of experiments.
    file : Path or None
        The experiment file given by its path.
    replaced : set of str
        Groups chosen on the command line: they replace what the experiment writes inline.
    """

    folders: list[Path] = field(default_factory=list)
    experiments: list[Path] = field(default_factory=list)
    file: Path | None = None
    replaced: set[str] = field(default_factory=set)


_state = State()


@contextlib.contextmanager
def installed(state: State) -> Iterator[None]:
    """Serve ``state`` for a while."""
    global _state
    plugins = Plugins.instance()
    for plugin in (ExperimentsSource, FolderSource, StpspecSearchPath):
        with contextlib.suppress(ValueError):  # registered already
            plugins.register(plugin)
    before, _state = _state, state
    try:
        yield
    finally:
        _state = before


class StpspecSearchPath(SearchPathPlugin):
    """Appends the configuration folders of the moment to Hydra's search path."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in _state.folders:
            search_path.prepend("stpspec", f"folder://{folder}")
        for folder in _state.experiments:
            search_path.append("stpspec", f"experiments://{folder}")
        if _state.file is not None:
            search_path.append("stpspec", f"experiments://{_state.file}")


class FolderSource(FileConfigSource):
    """A configuration folder of one's own, whose files are read within the limits."""

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider=provider, path=path)
        self.path = self.path.removeprefix(f"{self.scheme()}://")

    @staticmethod
    def scheme() -> str:
        return "folder"

    def load_config(self, config_path: str) -> ConfigResult:
        file = Path(self.path) / self._normalize_file_name(config_path)
        if file.is_file():
            document(file)
        found = super().load_config(config_path)
        _by_parts(found.config)
        return found


class ExperimentsSource(FileConfigSource):
    """A folder of experiments, or one experiment file, as the Hydra group ``experiment``."""

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider=provider, path=path)
        if self.path.startswith("experiments://"):
            self.path = self.path[len("experiments://") :]

    @staticmethod
    def scheme() -> str:
        return "experiments"

    def available(self) -> bool:
        return Path(self.path).exists()

    def _names(self) -> list[str]:
        root = Path(self.path)
        if root.is_file():
            return ["_file_"]
        return sorted(p.parent.name for p in root.glob("*/experiment.yaml"))

    def _file(self, config_path: str) -> Path | None:
        group, _, name = config_path.removesuffix(".yaml").partition("/")
        if group != _GROUP or name not in self._names():
            return None
        root = Path(self.path)
        return root if root.is_file() else root / name / "experiment.yaml"

    def is_group(self, config_path: str) -> bool:
        return config_path == _GROUP

    def is_config(self, config_path: str) -> bool:
        return self._file(config_path) is not None

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        if config_path == "" and results_filter in (None, ObjectType.GROUP):
            return [_GROUP]
        if config_path == _GROUP and results_filter in (None, ObjectType.CONFIG):
            return self._names()
        return []

    def load_config(self, config_path: str) -> ConfigResult:
        file = self._file(config_path)
        if file is None:
            return super().load_config(config_path)
        read = mapping_in(file)
        with file_named(file):
            config = OmegaConf.create(read.text)
        assert isinstance(config, DictConfig)
        data = OmegaConf.to_container(config)
        refuse_unsafe(data, file)
        study = data.get("study") if isinstance(data, dict) else None
        if isinstance(study, str):  # so that an override of another field finds it
            config.study = {"name": study}
        elif study is not None:
            config.study = without_passwords(study)
        self._prefer_inline(config)
        _by_parts(config)
        return ConfigResult(
            config=config,
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header={"package": "_global_"},
        )

    @staticmethod
    def _prefer_inline(config: DictConfig) -> None:
        """Let what a file writes inline replace the group's default, and the command line both."""
        with open_dict(config):
            for group in _state.replaced:
                if group in config and "kind" in config[group] and not _in_defaults(config, group):
                    config.pop(group)
            inline = [
                g
                for g in _KINDS
                if g in config and "kind" in (config[g] or {}) and not _in_defaults(config, g)
            ]
            if inline:
                old = list(config.get("defaults", ["_self_"]))
                config["defaults"] = [*old, *({f"override /{g}": None} for g in inline)]


def _by_parts(config: object) -> None:
    """Let an override such as ``parameters.net_con.delay.max=3`` find what a file has written."""
    for path in PARAMETERS:
        found = OmegaConf.select(config, path) if isinstance(config, DictConfig) else None
        if isinstance(found, DictConfig) and any("." in str(name) for name in found):
            assert isinstance(config, DictConfig)
            data = OmegaConf.to_container(found)
            assert isinstance(data, dict)
            by_name = {str(name): entry for name, entry in data.items()}
            OmegaConf.update(config, path, nested(by_name), merge=False)


def _in_defaults(config: DictConfig, group: str) -> bool:
    entries = config.get("defaults", [])
    return any(f"/{group}" in str(key) for e in entries if OmegaConf.is_dict(e) for key in e)

"""Artifacts of a study: files such as figures, which Optuna's dashboard shows beside its trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stpspec.resources import expanded
from stpspec.specs.study import StudySpec
from stpspec.studies.storage import Storage
from stpspec.studies.storage_lock import StorageLock

if TYPE_CHECKING:
    import optuna

_ENDING = ".artifacts"
_FOLDER = "artifacts"  # user attribute of a study: the folder of its files


class _Study(Protocol):
    """A study of Optuna, opened or as a storage lists it."""

    @property
    def user_attrs(self) -> Mapping[str, object]: ...


class Artifacts:
    """The files of one study, copied into a folder beside its journal.

    Parameters
    ----------
    study : optuna.Study
    spec : StudySpec
    storage : Storage
    lock : StorageLock
    """

    def __init__(self, study: optuna.Study, spec: StudySpec, storage: Storage, lock: StorageLock):
        journal = f"stpspec-studies/{spec.name}.journal" if "://" in spec.place else spec.place
        self._study, self._storage, self._lock = study, storage, lock
        self._folder = _folder_beside(journal)
        self._names: set[str] = set()
        self._revision: int | None = None
        if _FOLDER not in study.user_attrs:
            study.set_user_attr(_FOLDER, str(self._folder))
        self.names()  # while there is little to read

    def names(self) -> set[str]:
        """Return the names of the files that the study has."""
        from optuna.artifacts import get_all_artifact_meta

        revision = self._storage.revision()
        if revision is None or revision != self._revision:
            artifacts = get_all_artifact_meta(self._study)
            self._names = {artifact.filename for artifact in artifacts}
            self._revision = revision
        return self._names

    def add(self, path: Path) -> None:
        """Add a file, unless another process has added one of its name in the meantime."""
        from optuna.artifacts import FileSystemArtifactStore, upload_artifact

        self._folder.mkdir(parents=True, exist_ok=True)
        with self._lock():
            if path.name in self.names():
                return
            with self._storage.single_write():
                upload_artifact(
                    artifact_store=FileSystemArtifactStore(base_path=str(self._folder)),
                    file_path=str(path), study_or_trial=self._study,
                )  # fmt: skip
        self._names.add(path.name)


def artifact_folders(studies: Iterable[_Study], place: str) -> list[Path]:
    """Return where the files of a storage's studies may be: beside it, or where they were added."""
    beside = [] if "://" in place else [_folder_beside(place)]
    stored = (study.user_attrs.get(_FOLDER) for study in studies)
    named = (Path(folder) for folder in stored if isinstance(folder, str))
    # A storage of others may name any folder: a fit gives them this ending.
    return list(dict.fromkeys([*beside, *(f for f in named if f.suffix == _ENDING)]))


def _folder_beside(journal: str) -> Path:
    return expanded(journal).resolve().with_suffix(_ENDING)

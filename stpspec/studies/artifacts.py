"""Files that are attached to a study: figures, which Optuna's dashboard shows as its artifacts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stpspec.specs.study import StudySpec
from stpspec.studies.storage import in_one_write, turn_of
from stpspec.studies.storage_lock import Exclusive

_TOLD = "artifacts"  # attribute of a study that tells where its files are


class Attachments:
    """The files of one study: copied into a folder beside its journal.

    Parameters
    ----------
    study : optuna.Study
    spec : StudySpec
    held : Exclusive
    """

    def __init__(self, study: Any, spec: StudySpec, held: Exclusive):
        journal = f"stpspec-studies/{spec.name}.journal" if "://" in spec.place else spec.place
        self._study, self._folder, self._held = study, _beside(journal), held
        self._names: set[str] = set()
        self._turn: int | None = None
        if _TOLD not in study.user_attrs:
            study.set_user_attr(_TOLD, str(self._folder))
        self.names()  # while there is little to read

    def names(self) -> set[str]:
        """Return the names of the files that there are."""
        from optuna.artifacts import get_all_artifact_meta

        turn = turn_of(self._study._storage)
        if turn is None or turn != self._turn:
            self._names = {meta.filename for meta in get_all_artifact_meta(self._study)}
            self._turn = turn
        return self._names

    def add(self, path: Path) -> None:
        """Attach a file, unless another process has attached one of its name in the meantime."""
        from optuna.artifacts import FileSystemArtifactStore, upload_artifact

        self._folder.mkdir(parents=True, exist_ok=True)
        with self._held():
            if path.name in self.names():
                return
            with in_one_write(self._study._storage):
                upload_artifact(
                    artifact_store=FileSystemArtifactStore(base_path=str(self._folder)),
                    file_path=str(path), study_or_trial=self._study,
                )  # fmt: skip
        self._names.add(path.name)


def artifact_folders(studies: Iterable[Any], place: str) -> list[Path]:
    """Return where files attached to studies of a storage may be: beside it, or as they tell."""
    told = (study.user_attrs.get(_TOLD) for study in studies)
    beside = [] if "://" in place else [_beside(place)]
    return list(dict.fromkeys([*beside, *(Path(folder) for folder in told if folder)]))


def _beside(journal: str) -> Path:
    return Path(journal).expanduser().resolve().with_suffix(".artifacts")

"""Parts of saved experiments whose kinds only plug-ins know, as data: nothing of them is run."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from pydantic import ConfigDict

from stpspec.errors import PluginError
from stpspec.specs.base import Spec
from stpspec.specs.fitter import FitterSpec
from stpspec.specs.protocol import Protocol


def _refuse(part: Spec) -> NoReturn:
    raise PluginError(
        f"the kind {getattr(part, 'kind', '')!r} is known to a plug-in only, which is not imported "
        f"to look at a result: stpspec.load(FOLDER) imports it"
    )


class SavedProtocol(Protocol):
    """A protocol of a plug-in that is not imported."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    def stimulus(self, timing: object) -> NoReturn:
        _refuse(self)

    def provides(self) -> NoReturn:
        _refuse(self)


class SavedFitter(FitterSpec):
    """A fitter of a plug-in that is not imported."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    def minimize(self, problem: Any) -> NoReturn:
        _refuse(self)

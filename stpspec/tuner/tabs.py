"""Tabs of the page: the one that is looked at, and which protocol of its kind it shows."""

from __future__ import annotations

from stpspec.specs.experiment import Experiment
from stpspec.tuner.layout import Layout
from stpspec.tuner.link import Link
from stpspec.tuner.messages import Ask
from stpspec.tuner.views import RESPONSE, View, first_view, questions, views_of, with_protocol


class Tabs:
    """The tabs of a page, and the list of the protocols that one of them can show.

    Parameters
    ----------
    layout : Layout
    link : Link
        Knows what a link asks to look at, and is told what is chosen.

    Attributes
    ----------
    view : View
    protocol : str
        Name of the one that is shown.
    """

    def __init__(self, layout: Layout, link: Link):
        self._layout, self._link = layout, link
        self.view: View
        self.protocol = ""

    def offer(self, experiment: Experiment) -> str:
        """Offer the tabs that an experiment can have; return the title of the first."""
        views = views_of(experiment)
        self._layout.tabs.options = [v.title for v in views]
        wanted = self._link.query.get("view")
        title = next((v for v in views if v.title == wanted), first_view(views)).title
        self._layout.tabs.value = title
        return title

    def turn_to(self, experiment: Experiment, title: str) -> None:
        """Look at another tab."""
        views = views_of(experiment)
        self.view = next((v for v in views if v.title == title), first_view(views))
        names, wanted = list(self.view.protocols), self._link.query.get("protocol")
        self.protocol = wanted if wanted in names else self.view.name
        self._link.query["view"] = title
        lay = self._layout
        lay.protocol.options, lay.protocol.visible = names or [self.protocol], len(names) > 1
        lay.protocol.value = self.protocol
        lay.axis.visible = lay.progress.visible = title == RESPONSE

    def choose(self, name: str) -> None:
        """Look at another protocol of the same kind."""
        self.protocol = self._link.query["protocol"] = name

    def shown(self, experiment: Experiment) -> Experiment:
        """Return the experiment with the protocol that is shown."""
        return with_protocol(experiment, self.protocol, self.view.kind)

    def questions(self, experiment: Experiment, pixels: int) -> list[Ask]:
        """Return what is asked of the engine for what is looked at."""
        return questions(experiment, self.view, self.protocol, pixels)

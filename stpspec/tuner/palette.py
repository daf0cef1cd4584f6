"""Colors of the page, light and dark: told apart by all kinds of color vision."""

from __future__ import annotations

from dataclasses import dataclass

from stpspec.view.style import BLUE, GREEN, LINES, ORANGE


@dataclass(frozen=True)
class Palette:
    """The colors of one theme.

    Attributes
    ----------
    paper, ink, faint, grid : str
        Of the background, of text, of what matters less, of grid lines.
    now, mark, level : str
        Of the trace, of what is measured in it, and of windows and bases.
    pins : tuple of str
        Of traces that are kept.
    """

    paper: str
    ink: str
    faint: str
    grid: str
    now: str
    mark: str
    level: str
    pins: tuple[str, ...]


_PINS = LINES[2:6]  # green, purple, sky blue, amber

LIGHT = Palette("#ffffff", "#1a1a1a", "#6a6a6a", "#e6e6e6", BLUE, ORANGE, GREEN, _PINS)
DARK = Palette("#16181d", "#e8e8e8", "#8f959e", "#2c3038", "#56B4E9", "#E69F00", "#2FC79A",
               ("#2FC79A", "#E39CC4", "#F0E442", "#D55E00"))  # fmt: skip


def palette(theme: str) -> Palette:
    """Return the colors of ``"dark"`` or of any other theme."""
    return DARK if theme == "dark" else LIGHT

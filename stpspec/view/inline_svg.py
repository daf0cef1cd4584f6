"""Figures as SVG inside a page: no text but shapes, nothing that refers to anything outside."""

from __future__ import annotations

import io
import re
from html import escape
from typing import Any

import numpy as np

from stpspec.view.style import VECTORS

_LEFT_OUT = re.compile(r"<!--.*?-->|<metadata>.*?</metadata>| xmlns(?::xlink)?=\"[^\"]*\"", re.S)
_REFERENCES = re.compile(r'(\bid="|xlink:href="#|url\(#)')
_ROUNDED = re.compile(r"(?<![\d.])(\d*[1-9]\d*\.\d\d)\d+")  # places; no factors below 1


def inline_svg(axes: Any, prefix: str, title: str) -> str:
    """Return a figure as an ``<svg>`` element.

    Parameters
    ----------
    axes : matplotlib Axes, or ndarray of Axes
    prefix : str
        Of all ids, so that no two figures of a page share one.
    title : str
        What it shows, for those who do not see it.
    """
    from matplotlib import rc_context

    figure = np.ravel(axes)[0].get_figure()
    file = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with rc_context(VECTORS):
        figure.savefig(file, format="svg", metadata=metadata)
    text = file.getvalue()
    text = _LEFT_OUT.sub("", text[text.index("<svg") :])
    text = _ROUNDED.sub(r"\1", _REFERENCES.sub(rf"\g<1>{prefix}-", text))
    width = figure.get_size_inches()[0]
    head = re.compile(r'<svg[^>]*?viewBox="([^"]*)"[^>]*>', re.S)
    return head.sub(
        rf'<svg viewBox="\1" style="width: {width:.2f}in" role="img" '
        rf'aria-label="{_attribute(title)}">',
        text, count=1,
    ).strip()  # fmt: skip


def _attribute(text: str) -> str:
    return escape(text).replace("\\", "&#92;")

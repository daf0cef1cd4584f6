"""The address of what is shown: a link that restores it, which the address bar follows."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import panel as pn


class Link:
    """The link of one page.

    Parameters
    ----------
    field : TextInput
        Shows it.
    address : str
        Of the page, without its query.
    query : mapping of str to str
        ``state``, ``view``, ``protocol``, ``connection`` of a link, and what else the address has.

    Attributes
    ----------
    query : dict of str to str
        As it is now, but for the state.
    """

    def __init__(self, field: pn.widgets.TextInput, address: str, query: Mapping[str, str]):
        self._field, self._address, self.query = field, address, dict(query)

    def take_state(self) -> str:
        """Return the state that the link brought, once."""
        return self.query.pop("state", "")

    def show(self, state: str) -> None:
        """Write the link to a state."""
        text = urlencode({n: v for n, v in {**self.query, "state": state}.items() if v})
        address = f"{self._address}?{text}" if text else self._address
        if self._field.value != address:
            self._field.value = address

"""Tables of text and figures of results, from plain data."""

"""For people: tables of text and figures of results. Takes plain data; computes nothing."""

"""Campaigns: a table of connections × targets; one experiment and one fit for each row."""

"""The dashboard: a study in the browser."""

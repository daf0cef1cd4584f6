"""Sources of targets, one a module; each registers itself by its name."""

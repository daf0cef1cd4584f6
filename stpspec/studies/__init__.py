"""Studies: evaluations as Optuna trials, kept on disk, resumed, and shared by processes."""

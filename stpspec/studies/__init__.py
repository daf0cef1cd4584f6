"""Studies: evaluations as Optuna trials, stored on disk, resumed, and shared by processes."""

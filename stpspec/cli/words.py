"""The words of the command line that are fixed: verbs, and what `list` and `schema` take.

Apart from the modules that act on them, so that completion answers without loading those.
"""

from __future__ import annotations

VERBS = {
    "run": "simulate once, at the start values; print every metric and how it is calculated",
    "fit": "fit the free parameters to the objective",
    "sweep": "measure over a list of values of any fields; frequency response by default",
    "campaign": "fit each row of a table of connections; the same command again goes on",
    "check": "report all problems of an experiment, without simulating",
    "collect": "one table and one figure over a multirun or a campaign, also while it still runs",
    "dashboard": "watch a study in the browser: stpspec dashboard [STUDY | JOURNAL | URL | FOLDER]",
    "list": "list what there is: experiments, models, protocols, metrics, losses, fitters",
    "schema": "print the JSON schema of experiment files, or of one group: schema protocol",
    "completion": 'print what completes words in a shell: eval "$(stpspec completion bash)"',
}

SHELLS = ("bash", "zsh", "fish")

SORTS = (
    "experiments", "models", "recordings", "protocols", "metrics", "losses", "fitters",
    "mechanisms", "templates",
)  # fmt: skip

SCHEMAS = ("experiment", "model", "recording", "protocol", "objective", "fitter", "numerics")

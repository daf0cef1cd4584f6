"""Drives bmtool 0.8.7 on the reference problem; run by the Python of its own environment.

Orders come as one JSON object a line on stdin, answers go out likewise on stdout. Everything is
timed here, after one untimed call of the same kind.

    python predecessor.py FOLDER_OF_COMPILED_MECHANISMS TEMPLATE

What stands between it and the problem is put right without touching it: NumPy 2 has no ``trapz``;
its amplitudes are shifted by the baseline of the clamp current, so that the cost function reads
the recorded synaptic current itself; it takes ``soma`` for a list, so that the cell is wrapped.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time

import numpy as np
import problem

if not hasattr(np, "trapz"):
    np.trapz = np.trapezoid  # noqa: NPY201 - it is for the predecessor


class Wrapped:
    """Our cell with sections as the predecessor expects them."""

    def __init__(self, cell):
        self.cell = cell
        self.soma, self.dend = [cell.soma], [cell.dend]
        self.all = list(cell.all)


def tuner_of(mechanisms, template):
    """Return a SynapseTuner on the model of the problem."""
    import neuron
    from bmtool.synapses import SynapseTuner
    from neuron import h

    neuron.load_mechanisms(mechanisms)
    h.load_file("stdrun.hoc")
    h.load_file(template)
    general = {
        "vclamp": True, "rise_interval": (0.1, 0.9), "tstart": problem.SETTLE,
        "tdur": problem.STOP["single"], "threshold": -15.0, "delay": problem.DELAY, "weight": 1.0,
        "dt": problem.DT, "celsius": problem.CELSIUS,
    }  # fmt: skip
    connection = {
        "spec_settings": {
            "post_cell": "FastSpikingInterneuron", "vclamp_amp": problem.HOLDING, "sec_x": 0.5,
            "sec_id": 0, "level_of_detail": "GabaA",
        },
        "spec_syn_param": problem.middle() | problem.FIXED,
    }  # fmt: skip
    return SynapseTuner(
        conn_type_settings={"fs": connection}, connection="fs", general_settings=general,
        hoc_cell=Wrapped(h.FastSpikingInterneuron()), current_name="i",
        other_vars_to_record=["g"],
    )  # fmt: skip


class Predecessor:
    """The orders that it obeys."""

    def __init__(self, mechanisms, template):
        from bmtool.synapses import SynapseOptimizer

        self.tuner = tuner_of(mechanisms, template)
        self.optimizer = SynapseOptimizer(self.tuner)
        self.n = 0

    def metrics(self, own):
        """Return the metrics of the problem after an evaluation with both protocols."""
        times = np.array(self.tuner.t)
        current = 1e3 * np.array(self.tuner.rec_vectors["i"])
        n = min(times.size, current.size)
        train = problem.peaks(times[:n], current[:n], 8)
        return problem.measured(1e3 * own["amp"], train)

    def evaluate(self, n):
        """Evaluate the middle of the bounds n times, as its optimizer does."""
        for name, value in problem.middle().items():
            setattr(self.tuner.syn, name, value)
        optimizer = self.optimizer
        optimizer.run_single_event = optimizer.run_train_input = True
        optimizer.train_frequency, optimizer.train_delay = problem.FREQUENCY, problem.RECOVERY
        for _ in range(n):
            own = optimizer._calculate_metrics()
        return self.metrics(own)

    def fit(self, targets, method="SLSQP"):
        """Fit from the middle of the bounds with its default method."""
        self.n = 0

        def cost(own, _):
            self.n += 1
            return problem.loss(self.metrics(own), targets)

        result = self.optimizer.optimize_parameters(
            target_metrics=targets, param_bounds=problem.BOUNDS, run_single_event=True,
            train_frequency=problem.FREQUENCY, train_delay=problem.RECOVERY, cost_function=cost,
            method=method, init_guess="middle_guess",
        )  # fmt: skip
        values = {name: float(v) for name, v in result.optimal_params.items()}
        return {"values": values, "evaluations": self.n}

    def frequency_response(self, frequencies):
        """Run its frequency response."""
        self.tuner.stp_frequency_response(
            freqs=frequencies, delay=problem.RECOVERY, plot=False, log_plot=False
        )


def main():
    predecessor = Predecessor(*sys.argv[1:])
    warm = False
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        do = getattr(predecessor, order.pop("do"))
        with contextlib.redirect_stdout(io.StringIO()):
            if not warm:
                predecessor.evaluate(1)
                warm = True
            wall, cpu = time.perf_counter(), time.process_time()
            answer = do(**order)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(json.dumps({"wall": wall, "cpu": cpu, "answer": answer}), flush=True)


if __name__ == "__main__":
    main()

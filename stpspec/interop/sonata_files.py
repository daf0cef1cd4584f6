"""SONATA files: one postsynaptic cell, one virtual presynaptic node and the edge between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stpspec.errors import ResultError

_MAGIC, _VERSION = 0x0A7A, (0, 1)


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise ResultError("SONATA files are HDF5: pip install 'stpspec[sonata]'") from None
    return h5py


def write_nodes(path: Path, populations: dict[str, int]) -> None:
    """Write a nodes file: populations of one node each, by their node types.

    Parameters
    ----------
    path : Path
    populations : dict of str to int
        Name → node_type_id.
    """
    with _h5py().File(path, "w") as file:
        _mark(file)
        for name, kind in populations.items():
            group = file.create_group(f"nodes/{name}")
            group["node_id"] = np.array([0], np.uint64)
            group["node_type_id"] = np.array([kind], np.uint64)
            group["node_group_id"] = np.array([0], np.uint32)
            group["node_group_index"] = np.array([0], np.uint64)
            group.create_group("0")


def write_edge(
    path: Path, source: str, target: str, edge_type: int, values: dict[str, float]
) -> None:
    """Write an edges file with one edge.

    Parameters
    ----------
    path : Path
    source, target : str
        Populations.
    edge_type : int
    values : dict of str to float
        Attributes of the edge, such as ``syn_weight``.
    """
    with _h5py().File(path, "w") as file:
        _mark(file)
        group = file.create_group(f"edges/{source}_to_{target}")
        for key, population in (("source_node_id", source), ("target_node_id", target)):
            group[key] = np.array([0], np.uint64)
            group[key].attrs["node_population"] = population
        group["edge_type_id"] = np.array([edge_type], np.uint64)
        group["edge_group_id"] = np.array([0], np.uint32)
        group["edge_group_index"] = np.array([0], np.uint64)
        own = group.create_group("0")
        for name, value in values.items():
            own[name] = np.array([value], np.int64 if isinstance(value, int) else np.float64)


def write_spikes(path: Path, population: str, times: list[float]) -> None:
    """Write a spikes file: times of the only node of a population, ms."""
    with _h5py().File(path, "w") as file:
        _mark(file)
        group = file.create_group(f"spikes/{population}")
        group.attrs["sorting"] = "by_time"
        group["timestamps"] = np.array(times, np.float64)
        group["timestamps"].attrs["units"] = "milliseconds"
        group["node_ids"] = np.zeros(len(times), np.uint64)


def _mark(file: Any) -> None:
    file.attrs["magic"] = np.uint32(_MAGIC)
    file.attrs["version"] = np.array(_VERSION, np.uint32)


def first_edge(path: Path, edge_type: object) -> dict[str, float]:
    """Return the attributes of the first edge of a type in an edges file; of any, without a type.

    Raises
    ------
    ResultError
        If it is no SONATA file, or h5py is not installed.
    """
    try:
        with _h5py().File(path, "r") as file:
            for population in file["edges"].values():
                types = population["edge_type_id"][:]
                wanted = None if edge_type is None else int(float(str(edge_type)))
                hits = np.flatnonzero(types == wanted) if wanted is not None else np.arange(1)
                if hits.size:
                    return _attributes(population, int(hits[0]))
    except (OSError, KeyError, ValueError) as error:
        raise ResultError(f"{path} is no edges file of SONATA: {error}") from None
    return {}


def _attributes(population: Any, edge: int) -> dict[str, float]:
    group = population.get(str(population["edge_group_id"][edge]))
    index = int(population["edge_group_index"][edge])
    names = ("syn_weight", "delay", "sec_id", "sec_x", "afferent_section_id",
             "afferent_section_pos")  # fmt: skip
    return {n: group[n][index].item() for n in names if group is not None and n in group}

"""Export to SONATA: the files of a BMTK export, with nodes, edges and spikes in HDF5."""

from __future__ import annotations

from pathlib import Path

from stpspec.interop import bmtk_files, sonata_files
from stpspec.interop.preparation import SynapsePreparation, write_texts
from stpspec.interop.verification import Comparison

_CELL, _SOURCE = 100, 101  # node types; 100 is the edge type, too


def write(p: SynapsePreparation, folder: Path) -> list[str]:
    """Write this export into a folder; return remarks.

    Raises
    ------
    ResultError
        If h5py is not installed.
    """
    write_texts(folder, bmtk_files.files_of(p, with_edges=True))
    before, after = bmtk_files.POPULATIONS
    network = folder / "network"
    sonata_files.write_nodes(network / "nodes.h5", {after: _CELL, before: _SOURCE})
    values = {"syn_weight": p.weight, "delay": p.delay, "afferent_section_pos": p.cell.position}
    sonata_files.write_edge(network / "edges.h5", before, after, _CELL, values)
    (folder / "inputs").mkdir()
    for name, arrivals in p.arrivals.items():
        spikes = [t - p.delay for t in arrivals]
        sonata_files.write_spikes(folder / "inputs" / f"spikes_{name}.h5", before, spikes)
    return bmtk_files.remarks(p)


def verify(p: SynapsePreparation, folder: Path) -> Comparison:
    """Read what was written as an import does, simulate it, and compare."""
    return bmtk_files.verify(p, folder)

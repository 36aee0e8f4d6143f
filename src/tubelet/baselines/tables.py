"""The way to vectors of videos, whatever made them: descriptors of a network, or trajectories that are encoded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tubelet.baselines.idt.store import TrajectoryStore, has_trajectories
from tubelet.baselines.idt.vectors import TrajectoryVectors
from tubelet.datasets.splits import Fold
from tubelet.descriptors.request import item_id
from tubelet.descriptors.store import has_table
from tubelet.descriptors.video_vectors import VectorTable, open_vectors


def open_table(path: str | os.PathLike[str], layer: str | None = None, name: str | None = None) -> VectorTable:
    """Open a table of video vectors.

    Parameters
    ----------
    path
        A folder of trajectories (``tubelet extract --model idt``), or a table of descriptors as
        `tubelet.descriptors.video_vectors.open_vectors` takes it.
    layer
        Of trajectories ``bow`` (also where None is given), ``fisher``, ``bow1000``, ``fisher64``; of descriptors the
        layer, array or list column.
    name
        What to call it; None: the name of the folder or file.

    Raises
    ------
    InputDataError
        There is no such table, or it is damaged.
    UsageError
        It has no such layer, or several and none is named.
    """
    if is_trajectories(path):
        return TrajectoryVectors(TrajectoryStore(path), layer, name)
    return open_vectors(path, layer, name)


def require_learnable(tables: Sequence[VectorTable], folds: Sequence[Fold]) -> None:
    """Make sure, before anything is made or learned, that tables that learn can do so in every fold.

    Folds in which a table has no test video are passed over: nothing is learned for them.

    Raises
    ------
    InputDataError
        Not one training video of a fold has trajectories.
    UsageError
        Those of a fold have fewer trajectories than words or Gaussians.
    """
    for table in tables:
        if isinstance(table, TrajectoryVectors):
            known = set(table.video_ids.tolist())
            tested = [fold for fold in folds if any(item_id(item) in known for item in fold.test.items)]
            table.require(*([item_id(item) for item in fold.train.items] for fold in tested))


def is_trajectories(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a folder of trajectories, and no table of descriptors."""
    folder = Path(path)
    return folder.is_dir() and not has_table(folder) and has_trajectories(folder)

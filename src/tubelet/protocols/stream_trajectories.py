"""Improved dense trajectories in a comparison of streams: computed once for all videos, encoded anew in every fold.

They lie in ``ROOT/trajectories``, or where they were computed before; what a fold learned lies beside them, see
`tubelet.baselines.idt.vectors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tubelet.baselines.idt.encoding import Encoding
from tubelet.baselines.idt.runner import compute_trajectories
from tubelet.baselines.idt.settings import IdtSettings, trajectories_words
from tubelet.baselines.idt.store import TrajectoryStore, stored_settings
from tubelet.baselines.idt.vectors import TrajectoryVectors
from tubelet.baselines.tables import require_learnable
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.splits import Fold
from tubelet.descriptors.request import item_id
from tubelet.errors import UsageError
from tubelet.flow.opencv import opencv
from tubelet.protocols.descriptor_svm import described_in
from tubelet.protocols.stream_experiment import TRAJECTORIES, StreamExperiment, TrajectoryPlan
from tubelet.protocols.stream_times import add_time, timed, times_of
from tubelet.training.run_folder import safe_name

if TYPE_CHECKING:
    from tubelet.baselines.idt.runner import IdtSummary


def check_trajectories(
    experiment: StreamExperiment, manifest: Manifest, folds: Sequence[Fold], stored: Path | None
) -> dict[str, TrajectoryVectors]:
    """Make sure, before anything is made, that trajectories can be had where the experiment asks for them.

    Parameters
    ----------
    experiment, manifest, folds
        What is to be run.
    stored
        Where they were computed before; None: they shall be computed.

    Returns
    -------
    dict of str to TrajectoryVectors
        The experiment's ways to encode the stored ones, by name; empty where they shall be computed.

    Raises
    ------
    InputDataError
        None are stored there, or none of a fold's training videos.
    UsageError
        The videos are parts of files, or too few trajectories are stored for a fold.
    MissingExtraError
        OpenCV is not installed.
    """
    if not experiment.trajectories:
        return {}
    if any(item_id(item) != item.path for item in manifest.items):
        raise UsageError(
            "points are followed through whole files, and these videos are parts of files",
            path=manifest.root,
            remedy="cut them into files of their own: tubelet data cut",
        )
    if stored is None:
        opencv()
        return {}
    encoded = open_encoded(experiment, stored)
    require_learnable([*encoded.values()], folds)
    return encoded


def plan_lines(experiment: StreamExperiment, manifest: Manifest, encoded: Mapping[str, TrajectoryVectors]) -> list[str]:
    """What stands in the plan of a run for people: of how many videos there are trajectories, and of what kind."""
    lines = []
    for plan in experiment.trajectories:
        table = encoded.get(plan.name)
        what = f"{kind_of(table)}, computed by this run"
        if table is not None:
            there = len(manifest) - len(without_trajectories({plan.name: table}, manifest))
            what = f"{kind_of(table)} of {there} of {len(manifest)} videos, as they are in {table.path}"
        lines.append(f"  {plan.name}: {what}; {Encoding.of(plan.encoding).words} a channel learned in each fold; SVM")
    return lines


def kind_of(table: TrajectoryVectors | None) -> str:
    """What trajectories are, for people; without a table those that a run computes itself."""
    return trajectories_words(stored_settings(IdtSettings()) if table is None else table.facts["settings"])


def without_trajectories(encoded: Mapping[str, TrajectoryVectors], manifest: Manifest) -> list[tuple[str, str]]:
    """``(video_id, sentence)`` of the videos of which no trajectories are stored; all tables are of one folder."""
    if not encoded:
        return []
    table = next(iter(encoded.values()))
    missing = sorted({item_id(item) for item in manifest.items}.difference(table.video_ids.tolist()))
    return [(name, table.failed.get(name, f"no trajectories of it are stored in {table.path}")) for name in missing]


def follow(experiment: StreamExperiment, manifest: Manifest, root: Path, *, workers: int | None = None) -> IdtSummary:
    """Compute the trajectories of all videos into the run's folder; what is there is not computed again.

    ``workers`` stands in place of the file's.
    """
    most = max(plan.workers for plan in experiment.trajectories)
    summary = compute_trajectories(manifest.files(), root / TRAJECTORIES, IdtSettings(), workers=workers or most)
    if summary.done:
        add_time(root / TRAJECTORIES, "describing_s", summary.seconds)
    return summary


def open_encoded(experiment: StreamExperiment, folder: Path) -> dict[str, TrajectoryVectors]:
    """The experiment's ways to encode the trajectories of a folder, by name.

    Raises
    ------
    InputDataError
        None are stored there, or they are damaged.
    """
    if not experiment.trajectories:
        return {}
    store = TrajectoryStore(folder)
    return {plan.name: TrajectoryVectors(store, plan.encoding, plan.name) for plan in experiment.trajectories}


def encode(encoded: dict[str, TrajectoryVectors], folds: Sequence[Fold], root: Path) -> None:
    """Learn the words and mixtures of every fold that tests any video; what is kept is not learned again.

    Raises
    ------
    UsageError
        The training videos of a fold have fewer trajectories than words or Gaussians.
    InputDataError
        They have none.
    """
    require_learnable([*encoded.values()], folds)
    for name, table in encoded.items():
        for fold in (fold for fold in folds if described_in(fold.test, [table])):
            training = [item_id(item) for item in fold.train.items]
            if not table.is_learned(training):
                with timed(root / safe_name(name), "describing_s"):
                    table.for_training(training)


def seconds_of(plan: TrajectoryPlan, root: Path, folder: Path) -> float:
    """What following the points (as far as a run of this kind did it) and encoding took; the first serves all plans."""
    return sum(times_of(each).get("describing_s", 0.0) for each in (folder, root / safe_name(plan.name)))

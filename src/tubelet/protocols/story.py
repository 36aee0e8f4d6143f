"""The motion and appearance study: what each kind of descriptor knows, on videos of which everything is known.

Each video has two labels that say nothing about each other: the color of what moves, and how it moves. No single frame
shows the motion (`tubelet.video.synthetic_motion`), and optical flow, which is computed from gray, does not see the
color (`tubelet.video.synthetic_colors`). Networks are trained to tell both together; then a linear SVM on each one's
descriptor, C3D's protocol (section 3.3), is asked for the color, for the motion, and for both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tubelet.datasets.catalog import open_dataset
from tubelet.datasets.manifest import Manifest
from tubelet.datasets.splits import Fold
from tubelet.descriptors.extractor import Extractor
from tubelet.descriptors.runner import extract
from tubelet.descriptors.video_vectors import VideoVectors, open_vectors
from tubelet.flow.record import FlowSettings
from tubelet.flow.runner import compute_flow
from tubelet.models.folder import load_model
from tubelet.models.spec import descriptor_layer
from tubelet.protocols.descriptor_svm import SvmSettings, evaluate_descriptors
from tubelet.protocols.motion import MOTION
from tubelet.protocols.presets import round_settings
from tubelet.protocols.result import Result
from tubelet.protocols.round_descriptors import DESCRIPTORS
from tubelet.protocols.round_model import MODEL
from tubelet.protocols.rounds import RoundSettings, run_round
from tubelet.protocols.story_rows import ROWS, StoryRow
from tubelet.provenance import hash_json
from tubelet.reporting.text import aligned
from tubelet.video.synthetic import Difficulty, Order

Factor = Literal["color", "motion", "both"]
FACTORS: tuple[Factor, ...] = ("color", "motion", "both")
_COLUMNS: dict[Factor, str] = {"color": "color", "motion": "label", "both": "both"}

STEPS = 900
"""More than the motion study's, for both labels are learned at once: of ten motions, 600 steps told the six that go
somewhere and half of the four that turn and grow."""
STEPS_LONG = 2600
SIZES: Mapping[str, int] = {"train": 1500, "test": 300}

# Turning and growing are stronger than in the motion study, so that they are as easy to see as going.
DIFFICULTY = Difficulty(looks="colors", radius_px=(10, 27), turn_deg=(150, 270), scale_factor=(2.0, 2.7))

# The fastest pixel moves 8 pixels a frame (the rim of the largest object, turning), and in a growing one a tenth of
# that: a bound of 10 keeps all of it, at steps of 0.08 pixels.
FLOW = FlowSettings(store="compact", bound=10.0)

CHECKPOINT_EVERY = 25

OTHER_ORDERS: tuple[Order, ...] = ("still", "shuffled", "backward")


@dataclass(frozen=True)
class StoryNet:
    """A network of the study.

    Attributes
    ----------
    key
        Folder of its run; descriptors are named by it.
    model, options, recipe
        What it is; None: the recipe that its input names.
    reads_flow
        Whether it sees stored flow in place of frames.
    """

    key: str
    model: str
    options: dict[str, Any] = field(default_factory=dict)
    recipe: str | None = None
    reads_flow: bool = False


NETS = (
    StoryNet("c3d", "c3d_small"),
    StoryNet("frame", "c3d_small", {"depth": 1, "clip_length": 1}),
    StoryNet(
        "flow",
        "p3d_63",
        {"modality": "flow", "width": 0.125, "side": 56, "depths": [1, 1, 2, 1], "dropout": 0.2},
        "flow_small",
        reads_flow=True,
    ),
)


@dataclass(frozen=True)
class Story:
    """What the study found.

    Attributes
    ----------
    results
        By row's key and factor: accuracy of the SVM on the test videos.
    rows
        The rows that were made.
    videos
        All videos in their own order, labeled by both.
    nets
        Settings of the trained networks, by key.
    """

    results: Mapping[str, Mapping[Factor, Result]]
    rows: tuple[StoryRow, ...]
    videos: Manifest
    nets: Mapping[str, RoundSettings]

    def table(self) -> str:
        """Lines for people: each row's figures, and a word where one is not what was expected."""
        lines = [["", *FACTORS, ""]]
        for row in self.rows:
            found = self.results[row.key]
            odd = [name for name in FACTORS if not row.expected[name].met(found[name].value)]
            remark = "; ".join(f"{name}: expected {row.expected[name].words}" for name in odd)
            lines.append([f"{row.title} ({row.note})", *(f"{found[name].value:.1%}" for name in FACTORS), remark])
        return "\n".join(aligned(lines, right=(1, 2, 3)))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: every result, and what was expected of it."""
        return {
            row.key: {
                factor: {"expected": row.expected[factor].words, "as_expected": row.expected[factor].met(result.value)}
                | result.to_dict()
                for factor, result in self.results[row.key].items()
            }
            for row in self.rows
        }


def story_settings(net: StoryNet, steps: int, seed: int, workers: int, flow: Path) -> RoundSettings:
    """Settings of one net's training: those of the motion study, for both labels at once."""
    train = MOTION.changed(iterations=steps, seed=seed, workers=workers, checkpoint_every=CHECKPOINT_EVERY)
    return round_settings(
        net.model,
        recipe=net.recipe,
        options=net.options,
        # The curves of learning need every checkpoint of C3D, and of no other.
        train=train.changed(keep_checkpoints=1 + steps // CHECKPOINT_EVERY if net.key == "c3d" else 1),
        flip=False,
        with_svm=False,
        flow=(flow,) if net.reads_flow else (),
    )


def labeled(videos: Path, factor: Factor) -> Manifest:
    """The videos of a folder, labeled by one factor or by both."""
    return open_dataset("metadata", videos, label_column=_COLUMNS[factor])


def run_story(
    videos: Mapping[Order, Path],
    folder: Path,
    *,
    steps: int = STEPS,
    seed: int = 0,
    weights: Path | None = None,
    workers: int = 2,
    device: str = "cpu",
    say: Callable[[str], None] = lambda text: None,
) -> Story:
    """Train the networks, describe the videos, and ask an SVM for color, motion and both; what is done is kept.

    Parameters
    ----------
    videos
        By order of frames, a folder that ``make_dataset`` filled with the difficulty `DIFFICULTY`: the same seeds
        and test videos in all four.
    folder
        Where the runs go: ``<net>/`` with the model and its descriptors, ``fields/`` with the stored flow, ``rows/``.
    steps, seed, workers, device
        Training steps of each network and the usual.
    weights
        Model folder of a network for images, such as SqueezeNet with ImageNet's weights: a further row.
    say
        Told what begins and what came out.

    Raises
    ------
    MissingExtraError
        OpenCV is not installed, which computes the flow.
    UsageError
        The folder holds a study with other settings.
    """
    every = labeled(videos["forward"], "both")
    flow = folder / "fields"
    say("optical flow, from gray frames")
    summary = compute_flow({item.path: every.file(item) for item in every.items}, flow, FLOW, workers=workers)
    say(f"  {summary}")
    tables: dict[str, VideoVectors] = {}
    made: dict[str, RoundSettings] = {}
    for net in NETS:
        settings = made[net.key] = story_settings(net, steps, seed, workers, flow)
        training = every.select(split="train")
        say(f"{net.key}: {net.model}, {steps} steps on {len(training)} videos, {len(training.classes)} classes")
        run_round(training, None, settings, folder / net.key, device=device)
        model = folder / net.key / MODEL
        tables[net.key] = described(
            model, every, folder / net.key / DESCRIPTORS, net.key, workers, device, flow if net.reads_flow else None
        )
    for order in OTHER_ORDERS:
        other = labeled(videos[order], "both")
        table = described(folder / "c3d" / MODEL, other, folder / "c3d" / order, "c3d", workers, device)
        # One frame all along is described in training and test alike; other orders are put before the SVM of C3D.
        tables[f"c3d {order}"] = table if order == "still" else with_other_tests(tables["c3d"], table, every)
    if weights is not None:
        say(f"images: {weights}")
        tables["images"] = described(weights, every, folder / "images" / DESCRIPTORS, "images", workers, device)
    results: dict[str, dict[Factor, Result]] = {}
    rows = tuple(row for row in ROWS if set(row.tables) <= set(tables))
    parts = {factor: labeled(videos["forward"], factor) for factor in FACTORS}
    for row in rows:
        results[row.key] = {}
        for factor, part in parts.items():
            fold = Fold("test", part.select(split="train"), part.select(split="test"))
            wanted = [tables[name] for name in row.tables]
            # Named by what it was computed from: other descriptors never meet its scores.
            place = folder / "rows" / row.key / factor / hash_json([part.hash, *(one.hash for one in wanted)])[:12]
            found = evaluate_descriptors([fold], wanted, SvmSettings(seed=seed), place)
            results[row.key][factor] = found.result
        say(f"{row.title}: " + ", ".join(f"{factor} {results[row.key][factor].value:.1%}" for factor in FACTORS))
    return Story(results, rows, every, made)


def described(
    model: Path, videos: Manifest, folder: Path, name: str, workers: int, device: str, flow: Path | None = None
) -> VideoVectors:
    """The descriptors of all videos by a model folder: clips at stride 8, the papers' layer, mean, L2."""
    network = load_model(model)
    layer = descriptor_layer(network.layer_names)
    with Extractor(
        network, (layer,), stride_frames=8, precision="float32", device=device, workers=workers, flow=flow
    ) as extractor:
        extract(videos, extractor, folder, model_source=os.path.abspath(model))
    return open_vectors(folder, layer, name)


def with_other_tests(table: VideoVectors, other: VideoVectors, videos: Manifest) -> VideoVectors:
    """``table`` with the test videos' vectors taken from ``other``, where the same ids are other files."""
    test = {item.path for item in videos.select(split="test").items}
    theirs = [video_id for video_id in table.video_ids.tolist() if video_id in test]
    vectors = table.vectors.copy()
    vectors[np.isin(table.video_ids, theirs)] = other.take(theirs)
    return replace(table, vectors=vectors)


def reversed_share(result: Result, reverse: Mapping[str, str]) -> float:
    """Share of the videos that were taken for the reverse of what they are."""
    taken: Sequence[bool] = [one.predicted == reverse[one.label] for one in result.predictions]
    return float(np.mean(taken))

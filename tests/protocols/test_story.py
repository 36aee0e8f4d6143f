"""The motion and appearance study: what is compared with what, and what its figures mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tubelet.datasets.manifest import Item, Manifest
from tubelet.descriptors.video_vectors import VideoVectors
from tubelet.models.registry import create_model
from tubelet.protocols.result import Prediction, Result
from tubelet.protocols.story import (
    CHECKPOINT_EVERY,
    NETS,
    OTHER_ORDERS,
    reversed_share,
    story_settings,
    with_other_tests,
)
from tubelet.protocols.story_learning import factor_accuracies
from tubelet.protocols.story_rows import ROWS
from tubelet.training.checkpoint import checkpoint_step, checkpoint_weights, save_checkpoint
from tubelet.training.config import TrainConfig
from tubelet.training.steps import build_optimizer
from tubelet.video.synthetic import COLORS, MOTION_CLASSES


def test_nothing_is_mirrored_and_all_are_trained_alike() -> None:
    settings = {net.key: story_settings(net, 100, 3, 2, Path("fields")) for net in NETS}
    assert not any(one.recipe.flip for one in settings.values())
    trains = {one.train.changed(keep_checkpoints=1).model_dump_json() for one in settings.values()}
    assert len(trains) == 1
    assert settings["c3d"].train.seed == 3
    assert settings["c3d"].train.keep_checkpoints > 100 // CHECKPOINT_EVERY
    assert [key for key, one in settings.items() if one.flow] == ["flow"]


def test_what_the_networks_see() -> None:
    nets = {net.key: net for net in NETS}
    assert create_model("c3d_small", 50, **nets["c3d"].options).input.clip_length == 16
    frame = create_model("c3d_small", 50, **nets["frame"].options)
    assert frame.input.clip_length == 1
    flow = create_model("p3d_63", 50, **nets["flow"].options)
    assert (flow.input.modality, flow.input.clip_length) == ("flow", 16)


def test_rows_name_descriptors_that_are_made() -> None:
    made = {net.key for net in NETS} | {"images", *(f"c3d {order}" for order in OTHER_ORDERS)}
    assert {table for row in ROWS for table in row.tables} == made
    assert len({row.key for row in ROWS}) == len(ROWS)
    guessed = {"color": 1 / len(COLORS), "motion": 1 / len(MOTION_CLASSES)}
    for row in ROWS:
        for factor, chance in guessed.items():
            expected = row.expected[factor]
            if "guessed" in expected.words:  # three standard errors of guessing on 300 videos fit in
                reach = 3 * (chance * (1 - chance) / 300) ** 0.5
                assert expected.met(chance - reach + 1e-9) == expected.met(chance + reach - 1e-9) is True
                assert not expected.met(1.0)
            elif expected.words == "all":
                assert expected.met(1.0)
                assert not expected.met(0.5)


def table(ids: list[str], first: float) -> VideoVectors:
    vectors = np.arange(first, first + 2 * len(ids), dtype=np.float32).reshape(-1, 2)
    return VideoVectors("c3d", Path("t"), "fc6", np.array(ids), vectors)


def test_only_test_videos_are_replaced() -> None:
    items = tuple(
        Item(f"{split}/{number}.avi", label="red left", split=split) for split in ("test", "train") for number in (0, 1)
    )
    videos = Manifest("set", Path(), items, ("red left",))
    ids = ["test/0.avi", "test/1.avi", "train/0.avi", "train/1.avi"]
    found = with_other_tests(table(ids, 0), table(["test/0.avi", "test/1.avi"], 100), videos)
    assert found.vectors.tolist() == [[100, 101], [102, 103], [4, 5], [6, 7]]
    assert found.video_ids.tolist() == ids
    assert found.hash != table(ids, 0).hash


def test_probabilities_of_both_are_summed_over_the_other_label() -> None:
    classes = ("blue left", "blue right", "red left", "red right")
    videos = Manifest(
        "set",
        Path(),
        tuple(Item(f"{name}.avi", label=name) for name in ("blue left", "red right", "red left")),
        classes,
    )
    probabilities = np.array(
        [
            [0.30, 0.10, 0.25, 0.35],  # both: red right; color: red (0.6); motion: left (0.55)
            [0.05, 0.05, 0.10, 0.80],  # all right
            [0.40, 0.00, 0.30, 0.30],  # both: blue left; color: red (0.6); motion: left (0.7)
        ]
    )
    assert factor_accuracies(probabilities, videos) == pytest.approx({"color": 2 / 3, "motion": 1.0, "both": 1 / 3})


def test_share_of_reversals() -> None:
    pairs = [("left", "right"), ("left", "left"), ("right", "left"), ("right", "up")]
    result = Result("p", "accuracy", 0.25, 4, predictions=tuple(Prediction("v", a, b, 1.0) for a, b in pairs))
    assert reversed_share(result, {"left": "right", "right": "left"}) == 0.5


def test_weights_of_a_checkpoint(tmp_path: Path) -> None:
    model = create_model("c3d_small", 3, seed=0, width=0.125, side=16, clip_length=16)
    optimizer = build_optimizer(model.parameter_groups(1e-3, 0.01), TrainConfig())
    model(torch.randn(2, 3, 16, 16, 16)).sum().backward()
    optimizer.step()
    path = save_checkpoint(tmp_path, model, optimizer, {"step": 75}, keep=1)
    assert checkpoint_step(path) == 75
    weights = checkpoint_weights(path)
    assert set(weights) == set(model.state_dict())
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())

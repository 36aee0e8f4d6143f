"""experiments/streams/frames_5fps.toml: what its comment says of its rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tubelet.models import create_model
from tubelet.protocols.stream_experiment import StreamExperiment, load_stream_experiment

Tubelet = Callable[..., Any]
FILE = Path(__file__).parents[2] / "experiments" / "streams" / "frames_5fps.toml"


def test_the_segment_networks_differ_in_their_segments_alone() -> None:
    experiment: StreamExperiment = load_stream_experiment(FILE)
    spatial, *segments = experiment.streams
    assert [plan.options["segments"] for plan in segments] == [1, 3, 7]
    same = [plan.model_dump(exclude={"name", "options"}) for plan in segments]
    assert same[0] == same[1] == same[2]
    assert [plan.options["dropout"] for plan in segments] == [spatial.options["dropout"]] * 3
    assert {plan.train.jitter.crop for plan in segments} == {"corners"}
    # The spatial stream takes as many steps on as many videos, and nothing but its last layer learns.
    steps = {(plan.train.iterations, plan.train.batch_size) for plan in experiment.streams}
    assert steps == {(spatial.train.iterations, spatial.train.batch_size)}
    assert spatial.train.train_layers is not None
    model = create_model(spatial.model, 5, **spatial.options, width=0.25)
    model.train_only(spatial.train.train_layers)
    learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert learning == ["conv10.weight", "conv10.bias"]


def test_its_folds_hold_six_videos_of_every_class(tubelet: Tubelet, shared_data: Path, tmp_path: Path) -> None:
    create_model("squeezenet", 7, width=0.25).save(tmp_path / "images", labels=[f"c{i}" for i in range(7)])
    frames = shared_data / "ucf101" / "frames_5fps"
    found = tubelet(
        "evaluate", "streams", FILE, "--data", frames, "--fps", 5, "--weights", tmp_path / "images",
        "-o", tmp_path / "run", "--dry-run", "--json",
    )  # fmt: skip
    assert found.code == 0, found.err
    assert set(found.json["folds"].values()) == {30}
    assert "90 videos of frames_5fps, 5 classes, 18 groups" in found.err
    assert found.err.count("that train conv10 alone") == 1
    recipes = {one["recipe"]["hash"] for one in found.json["streams"].values()}
    assert len(recipes) == 1  # all see the pixels that the weights saw
    assert not (tmp_path / "run").exists()

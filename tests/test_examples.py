"""What the README shows runs as it stands, and every experiment file can be used."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

from tubelet.clips.jitter import Jitter
from tubelet.clips.recipes import RECIPES, get_recipe
from tubelet.datasets.catalog import DATASETS
from tubelet.models.registry import build_meta, list_models
from tubelet.training.config import Experiment, load_experiment
from tubelet.training.schedule import learning_rate

REPOSITORY = Path(__file__).parents[1]
EXPERIMENTS = sorted((REPOSITORY / "experiments").glob("*.toml"))


def code_of(text: str) -> list[str]:
    """The tokens of a program without comments and line ends."""
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [token.string for token in tokens if token.type not in skipped]


def test_first_steps_runs_on_a_video(motion_folder: Path) -> None:
    video = motion_folder / "test" / "left" / "left_00000.avi"
    script = REPOSITORY / "examples" / "first_steps.py"
    done = subprocess.run(
        [sys.executable, str(script), str(video)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    # A video of the set has 24 frames at 25 frames/s: clips of 16 start at frames 0 and 8.
    assert done.stdout.splitlines() == [
        "24 25.0 0.92",
        "(3, 64, 64, 3)",
        "[0.   0.32] [0.64 0.96] (2, 512)",
        "(512,)",
    ]
    assert "untrained" in done.stderr


def test_the_readme_shows_the_same_ten_lines() -> None:
    script = (REPOSITORY / "examples" / "first_steps.py").read_text(encoding="utf-8")
    shown = re.search(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    without_docstring = code_of(script)[1:]
    assert code_of(shown[1]) == without_docstring
    lines = [line for line in shown[1].splitlines() if line.strip()]
    assert len(lines) <= 10


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_experiment_names_things_that_exist(path: Path) -> None:
    experiment = load_experiment(path)
    assert experiment.name == path.stem
    assert experiment.model in list_models()
    assert experiment.recipe in RECIPES
    assert experiment.dataset in DATASETS
    assert experiment.source


KEYS = (
    "iterations", "batch_size", "learning_rate", "momentum", "nesterov", "weight_decay", "gradient_clip", "clips",
    "class_uniform", "train_layers",
)  # fmt: skip
# facebook/C3D, C3D-v1.0: the solvers of c3d_train_ucf101 and c3d_finetuning. All others:
# spec/two_stream_tsn_p3d_t3d.md, sections 1.5, 2.7, 3.4, 4.3, 4.4; weight decay 0.0005 where the papers say none.
PUBLISHED: dict[str, tuple[object, ...]] = {
    "c3d_ucf101_scratch": (60000, 30, 0.003, 0.9, False, 0.005, None, "non_overlapping", False, None),
    "c3d_ucf101_finetune": (20000, 30, 0.0001, 0.9, False, 0.0005, None, "non_overlapping", False, None),
    "two_stream_spatial_scratch": (80000, 256, 0.01, 0.9, False, 0.0005, None, "random", True, None),
    "two_stream_spatial_last_layer": (20000, 256, 0.01, 0.9, False, 0.0005, None, "random", True, ("fc8",)),
    "two_stream_temporal_L10": (80000, 256, 0.01, 0.9, False, 0.0005, None, "random", True, None),
    "two_stream_multitask": (80000, 256, 0.01, 0.9, False, 0.0005, None, "random", True, None),
    "two_stream_multitask_ucf101": (80000, 256, 0.01, 0.9, False, 0.0005, None, "random", True, None),
    "tsn_rgb_eccv": (4500, 256, 0.001, 0.9, False, 0.0005, None, "random", False, None),
    "tsn_rgb_pami": (3500, 128, 0.001, 0.9, False, 0.0005, None, "random", False, None),
    "tsn_rgb_released_ucf101": (3500, 128, 0.001, 0.9, False, 0.0005, 40, "random", False, None),
    "tsn_rgb_released_hmdb51": (2500, 128, 0.001, 0.9, False, 0.0005, 40, "random", False, None),
    "tsn_flow_eccv": (20000, 256, 0.005, 0.9, False, 0.0005, None, "random", False, None),
    "tsn_flow_pami": (20000, 128, 0.005, 0.9, False, 0.0005, None, "random", False, None),
    "tsn_flow_released_ucf101": (18000, 128, 0.005, 0.9, False, 0.0005, 20, "random", False, None),
    "tsn_flow_released_hmdb51": (7000, 128, 0.005, 0.9, False, 0.0005, 20, "random", False, None),
    "tsn_rgb_difference": (180 * 75, 128, 0.001, 0.9, False, 0.0005, 40, "random", False, None),
    "p3d_63_ucf101": (7500, 128, 0.001, 0.9, False, 0.0005, None, "random", False, None),
    "p3d_199_sports1m": (150000, 128, 0.001, 0.9, False, 0.0005, None, "random", False, None),
    "t3d_121": (200 * 3750, 64, 0.1, 0.9, True, 0.0001, None, "random", False, None),
    "t3d_transfer": (150 * 15625, 32, 0.1, 0.9, True, 0.0001, None, "random", False, None),
}
# Steps at which the rate falls to a tenth.
DROPS: dict[str, tuple[int, ...]] = {
    "c3d_ucf101_scratch": (20000, 40000),
    "c3d_ucf101_finetune": (5000, 10000, 15000),
    "two_stream_spatial_scratch": (50000, 70000),
    "two_stream_spatial_last_layer": (14000,),
    "two_stream_temporal_L10": (50000, 70000),
    "two_stream_multitask": (50000, 70000),
    "two_stream_multitask_ucf101": (50000, 70000),
    "tsn_rgb_eccv": (2000, 4000),
    "tsn_rgb_pami": (1500, 3000),
    "tsn_rgb_released_ucf101": (1500, 3000),
    "tsn_rgb_released_hmdb51": (1000, 2000),
    "tsn_flow_eccv": (12000, 18000),
    "tsn_flow_pami": (12000, 18000),
    "tsn_flow_released_ucf101": (10000, 16000),
    "tsn_flow_released_hmdb51": (4000, 6000),
    "tsn_rgb_difference": (80 * 75, 160 * 75),
    "p3d_63_ucf101": (3000, 6000),
    "p3d_199_sports1m": (60000, 120000),
    "t3d_transfer": tuple(epoch * 15625 for epoch in (30, 60, 90, 120)),
}
# Crops, places and sizes of training, and the clip that the network then takes (channels, frames, sides; step between
# frames): sections 1.5, 2.6 with rulings D10 and D11, 3.4, 4.4 of the specification.
FOUR, THREE = (1.0, 0.875, 0.75, 0.66), (1.0, 0.875, 0.75)
WHOLE = Jitter(crop="inclusive")
CLIPS: dict[str, tuple[Jitter, tuple[int, int, int, int], int]] = {
    "two_stream_spatial_scratch": (Jitter(crop="inclusive", lighting=0.1), (3, 1, 224, 224), 1),
    "two_stream_spatial_last_layer": (Jitter(crop="inclusive", lighting=0.1), (3, 1, 224, 224), 1),
    "two_stream_temporal_L10": (WHOLE, (20, 1, 224, 224), 1),
    "two_stream_multitask": (WHOLE, (20, 1, 224, 224), 1),
    "two_stream_multitask_ucf101": (WHOLE, (20, 1, 224, 224), 1),
    "tsn_rgb_eccv": (Jitter(crop="corners", positions=5, sizes=FOUR), (3, 3, 224, 224), 1),
    "tsn_rgb_pami": (Jitter(crop="corners", positions=13, sizes=FOUR), (3, 7, 224, 224), 1),
    "tsn_rgb_released_ucf101": (Jitter(crop="corners", positions=13, sizes=FOUR), (3, 3, 224, 224), 1),
    "tsn_rgb_released_hmdb51": (Jitter(crop="corners", positions=13, sizes=FOUR), (3, 3, 224, 224), 1),
    "tsn_flow_eccv": (Jitter(crop="corners", positions=5, sizes=FOUR), (10, 3, 224, 224), 1),
    "tsn_flow_pami": (Jitter(crop="corners", positions=13, sizes=THREE), (10, 7, 224, 224), 1),
    "tsn_flow_released_ucf101": (Jitter(crop="corners", positions=13, sizes=THREE), (10, 3, 224, 224), 1),
    "tsn_flow_released_hmdb51": (Jitter(crop="corners", positions=13, sizes=THREE), (10, 3, 224, 224), 1),
    "tsn_rgb_difference": (Jitter(crop="corners", positions=13, sizes=THREE), (15, 7, 224, 224), 1),
    "p3d_63_ucf101": (WHOLE, (3, 16, 160, 160), 1),
    "p3d_199_sports1m": (WHOLE, (3, 16, 160, 160), 1),
    "t3d_121": (Jitter(crop="corners", positions=5), (3, 32, 224, 224), 2),
    "t3d_transfer": (WHOLE, (3, 32, 224, 224), 2),
}
# Parameters of the specification's sections 1.1, 2.2, 3.3 and 4.2, at the classes of the preset's data set; P3D and T3D
# are counted there for the classes given here.
PARAMETERS: dict[str, tuple[int, int]] = {
    "c3d_ucf101_scratch": (101, 17_444_965),
    "two_stream_spatial_scratch": (101, 90_627_813),
    "two_stream_spatial_last_layer": (101, 90_627_813),
    "two_stream_temporal_L10": (101, 90_707_781),
    # The order of the heads does not matter to the count: 101 + 51.
    "two_stream_multitask": (51, 90_812_280),
    "two_stream_multitask_ucf101": (101, 90_812_280),
    "tsn_rgb_eccv": (101, 10_373_765),
    "tsn_rgb_pami": (101, 10_373_765),
    "tsn_rgb_released_ucf101": (101, 10_373_765),
    "tsn_rgb_released_hmdb51": (51, 10_322_515),
    "tsn_flow_eccv": (101, 10_395_717),
    "tsn_flow_pami": (101, 10_395_717),
    "tsn_flow_released_ucf101": (101, 10_395_717),
    "tsn_flow_released_hmdb51": (51, 10_344_467),
    "tsn_rgb_difference": (101, 10_411_397),
    "p3d_63_ucf101": (101, 25_132_581),
    "p3d_199_sports1m": (487, 66_670_503),
    "t3d_121": (400, 29_876_880),
    "t3d_transfer": (400, 29_876_880),
}


def preset(name: str) -> Experiment:
    return load_experiment(REPOSITORY / "experiments" / f"{name}.toml")


def test_every_published_experiment_is_compared() -> None:
    names = {path.stem for path in EXPERIMENTS}
    assert names == set(PUBLISHED) | {"compactness_c3d", "t3d_transfer_small", "two_stream_temporal_small"}
    assert set(CLIPS) == {name for name in PUBLISHED if not name.startswith("c3d")}
    assert set(DROPS) == set(PUBLISHED) - {"t3d_121"}, "the rate of t3d_121 follows the validation loss"


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_settings_are_the_published_ones(name: str) -> None:
    config = preset(name).train
    assert tuple(getattr(config, key) for key in KEYS) == PUBLISHED[name]
    assert config.optimizer == "sgd"
    if name.startswith("c3d"):
        assert config.jitter.crop == "published"


@pytest.mark.parametrize("name", CLIPS)
def test_clips_are_cut_as_published(name: str) -> None:
    experiment, (jitter, shape, step) = preset(name), CLIPS[name]
    assert experiment.train.jitter == jitter
    spec = build_meta(experiment.model, 5, experiment.options).input
    assert (spec.shape, spec.step_frames) == (shape, step)
    # Frames before the crop: 340 x 256 for TSN and 242 x 182 for P3D, else 256 on the shorter side.
    recipe, paper = get_recipe(experiment.recipe), name.split("_")[0]
    assert (recipe.resize_hw, recipe.resize_short) == {
        "tsn": ((256, 340), None), "p3d": ((182, 242), None)
    }.get(paper, (None, 256))  # fmt: skip
    assert (recipe.crop_hw, recipe.flip) == (shape[2:], True), "all of them mirror"


@pytest.mark.parametrize("name", DROPS)
def test_the_rate_falls_where_it_was_published_to(name: str) -> None:
    config = preset(name).train
    rate, begin = PUBLISHED[name][2], 0
    for fallen, end in enumerate((*DROPS[name], config.iterations)):
        for step in (begin, end - 1):
            assert learning_rate(config, step) == pytest.approx(rate * 0.1**fallen, rel=1e-9), step
        begin = end


def test_the_rate_of_t3d_follows_the_validation_loss() -> None:
    config = preset("t3d_121").train
    falling = [2.0, 1.5, 1.2]
    assert learning_rate(config, 400_000, falling) == 0.1
    assert learning_rate(config, 400_000, [*falling, 1.3, 1.4, 1.3, 1.2, 1.21]) == pytest.approx(0.01)


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_network_is_the_published_one(name: str) -> None:
    experiment, (classes, parameters) = preset(name), PARAMETERS[name]
    model = build_meta(experiment.model, classes, experiment.options)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    modality = model.input.modality
    assert (experiment.flow == "required") == (modality in ("flow", "warped_flow"))
    assert "--flow DIR" in (REPOSITORY / "experiments" / f"{name}.toml").read_text() or modality != "flow"
    if name.startswith("tsn"):
        assert model.trained_norms == 1
        assert model.input.segments == (7 if "pami" in name or "difference" in name else 3)
        assert model.dropout.p == (0.7 if modality == "flow" else 0.8)
        groups = {group["name"]: group for group in model.parameter_groups(1.0, 1.0)}
        wanted = {"weights": (1, 1), "biases": (2, 0), "norms": (1, 0)}
        wanted |= {"first_weights": (5, 1), "first_biases": (10, 0)} if modality == "flow" else {}
        assert {key: (group["lr"], group["weight_decay"]) for key, group in groups.items()} == wanted
        # The only norm that learns is the first: 64 scales and 64 shifts.
        assert sum(parameter.numel() for parameter in groups["norms"]["params"]) == 128
    if name.startswith("p3d"):
        assert model.trained_norms == 1
        assert model.dropout.p == (0.9 if "63" in name else 0.1)


def test_the_small_transfer_differs_in_size_only() -> None:
    small, published = preset("t3d_transfer_small"), preset("t3d_transfer")
    assert (small.model, small.teacher, small.recipe) == (published.model, "required", published.recipe)
    assert (small.train.nesterov, small.train.weight_decay) == (True, 0.0001)
    assert build_meta(small.model, 1, small.options).input.shape == (3, 16, 64, 64)

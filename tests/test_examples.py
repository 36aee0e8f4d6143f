"""What the README shows runs as it stands, and every experiment file can be used."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

from tubelet.clips.recipes import RECIPES
from tubelet.datasets.catalog import DATASETS
from tubelet.models.registry import list_models
from tubelet.training.config import load_experiment

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


def test_the_published_settings_are_those_of_the_solver_files() -> None:
    # facebook/C3D, C3D-v1.0: conv3d_ucf101_solver.prototxt of c3d_train_ucf101 and of c3d_finetuning.
    keys = ("iterations", "batch_size", "optimizer", "learning_rate", "momentum", "weight_decay", "schedule",
            "step_every", "step_factor", "clips")  # fmt: skip
    published = {
        "c3d_ucf101_scratch": (60000, 30, "sgd", 0.003, 0.9, 0.005, "step", 20000, 0.1, "non_overlapping"),
        "c3d_ucf101_finetune": (20000, 30, "sgd", 0.0001, 0.9, 0.0005, "step", 5000, 0.1, "non_overlapping"),
    }
    assert {path.stem for path in EXPERIMENTS} == set(published)
    for name, values in published.items():
        config = load_experiment(REPOSITORY / "experiments" / f"{name}.toml").train
        assert tuple(getattr(config, key) for key in keys) == values
        assert config.jitter.crop == "published"

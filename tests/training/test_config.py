"""Settings: validation in words, TOML there and back, and the published experiments."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tubelet.clips.jitter import Jitter
from tubelet.errors import UsageError
from tubelet.training.config import TrainConfig, load_experiment, save_toml

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def test_scratch_is_the_released_solver() -> None:
    experiment = load_experiment(EXPERIMENTS / "c3d_ucf101_scratch.toml")
    train = experiment.train
    assert (train.learning_rate, train.momentum, train.weight_decay) == (0.003, 0.9, 0.005)
    assert (train.batch_size, train.iterations, train.step_every, train.step_factor) == (30, 60_000, 20_000, 0.1)
    assert (train.optimizer, train.schedule, train.clips) == ("sgd", "step", "non_overlapping")
    assert train.jitter == Jitter(crop="published")
    assert (experiment.model, experiment.dataset, experiment.weights) == ("c3d_depth3", "ucf101", "none")


def test_finetune_is_the_released_solver() -> None:
    experiment = load_experiment(EXPERIMENTS / "c3d_ucf101_finetune.toml")
    train = experiment.train
    assert (train.learning_rate, train.weight_decay, train.iterations, train.step_every) == (1e-4, 5e-4, 20_000, 5_000)
    assert (experiment.model, experiment.weights, experiment.recipe) == ("c3d", "required", "c3d_sports1m")


def test_faults_name_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(
        'name = "x"\nsource = "y"\ndataset = "ucf101"\nmodel = "c3d"\nrecipe = "r"\n[train]\nitrations = 3\n'
    )
    with pytest.raises(UsageError, match=r"train\.itrations"):
        load_experiment(path)
    path.write_text("name = ")
    with pytest.raises(UsageError, match="not valid TOML"):
        load_experiment(path)
    with pytest.raises(UsageError, match="no such experiment"):
        load_experiment(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    "settings", [{"batch_size": 1}, {"learning_rate": 0}, {"momentum": 0.5}, {"precision": "float16"}, {"nonsense": 1}]
)
def test_unfit_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        TrainConfig().changed(**settings)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"nesterov": True}, "sgd"),
        ({"optimizer": "sgd", "nesterov": True, "momentum": 0.0}, "momentum above 0"),
        ({"milestones": [3]}, "multistep"),
        ({"schedule": "multistep"}, "milestones"),
        ({"schedule": "multistep", "milestones": [3, 3]}, "each above the last"),
        ({"schedule": "multistep", "milestones": [0, 3]}, "above 0"),
        ({"schedule": "plateau"}, "validate_every"),
        ({"train_layers": []}, "no layer"),
    ],
)
def test_settings_that_contradict_each_other_say_so(settings: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        TrainConfig().changed(**settings)


def test_experiments_that_contradict_themselves_say_so(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    common = 'name = "x"\nsource = "y"\ndataset = "ucf101"\nmodel = "c3d"\nrecipe = "r"\n'
    path.write_text(f'{common}start_from = "inflate"\n[train]\n')
    with pytest.raises(UsageError, match="needs weights"):
        load_experiment(path)
    path.write_text(f'{common}teacher = "required"\n[[also]]\ndataset = "ucf101"\n[train]\n')
    with pytest.raises(UsageError, match="a teacher needs none"):
        load_experiment(path)


def test_changed_leaves_none_alone() -> None:
    config = TrainConfig(iterations=7)
    assert config.changed(iterations=None, seed=4) == TrainConfig(iterations=7, seed=4)


text = st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=20)
values = st.one_of(st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), text)
tables = st.dictionaries(text.filter(bool), values | st.lists(values, max_size=3), max_size=4)


@given(tables, st.dictionaries(text.filter(bool), tables, max_size=3))
def test_toml_reads_back(
    tmp_path_factory: pytest.TempPathFactory, flat: dict[str, object], nested: dict[str, object]
) -> None:
    path = tmp_path_factory.mktemp("toml") / "config.toml"
    everything = {**flat, **nested}
    save_toml(path, everything)
    assert tomllib.loads(path.read_text(encoding="utf-8")) == everything


def test_none_is_left_out(tmp_path: Path) -> None:
    save_toml(tmp_path / "a.toml", {"a": None, "b": 1})
    assert tomllib.loads((tmp_path / "a.toml").read_text()) == {"b": 1}


PUBLISHED = {
    "TSN": """crop = "corners"\npositions = 13\nsizes = [1, 0.875, 0.75, 0.66]\nmax_distort = 1\n""",
    "Two-Stream": """crop = "inclusive"\nlighting = 0.1\n""",
    "T3D": """crop = "corners"\npositions = 5\n""",
    "P3D": """crop = "inclusive"\n""",
}


@pytest.mark.parametrize("paper", PUBLISHED)
def test_published_augmentation_is_a_table(paper: str, tmp_path: Path) -> None:
    text = f"batch_size = 256\nclass_uniform = true\n[jitter]\n{PUBLISHED[paper]}"
    config = TrainConfig(**tomllib.loads(text))
    assert config.class_uniform
    assert (
        config.jitter
        == {
            "TSN": Jitter("corners", positions=13, sizes=(1.0, 0.875, 0.75, 0.66), max_distort=1),
            "Two-Stream": Jitter("inclusive", lighting=0.1),
            "T3D": Jitter("corners", positions=5),
            "P3D": Jitter("inclusive"),
        }[paper]
    )
    save_toml(tmp_path / "config.toml", config.model_dump(mode="json"))
    assert TrainConfig(**tomllib.loads((tmp_path / "config.toml").read_text())) == config


@pytest.mark.parametrize(
    ("jitter", "says"),
    [
        ({"crop": "corner"}, r"jitter\.crop"),
        ({"crop": "corners", "positions": 9}, r"jitter\.positions"),
        ({"crop": "corners", "sizes": [1.5]}, "fractions of the shorter side"),
        ({"hue": 0.1}, r"jitter\.hue"),
    ],
)
def test_unfit_jitter_is_named(jitter: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        TrainConfig().changed(jitter=jitter)

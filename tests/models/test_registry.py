from __future__ import annotations

import subprocess
import sys

import pytest

import tubelet.models
from tubelet.errors import UsageError
from tubelet.models import create_model, list_models, model_info
from tubelet.models.registry import build_meta, model_options


def test_listing_matches_patterns() -> None:
    everything = list_models()
    assert everything == sorted(everything)
    assert {"c3d", "c3d_small", "res3d_18", "res3d_34", "sr18"} <= set(everything)
    assert list_models("c3d_depth?") == ["c3d_depth1", "c3d_depth3", "c3d_depth5", "c3d_depth7"]
    assert list_models("nothing*") == []


def test_listing_needs_no_torch() -> None:
    code = "import sys, tubelet.models as m; print(len(m.list_models()), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(list_models())), "False"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("c3d_smal", {}, "there is no model 'c3d_smal'; did you mean 'c3d_small'"),
        ("zzz", {}, "the models are: alexnet, alexnet_owt, "),
        ("c3d", {"widht": 2}, "c3d has no option 'widht'; did you mean 'width'"),
        ("c3d", {"qqq": 2}, "its options are: width, clip_length, step_frames, side, batch_norm, dropout"),
        ("res3d_18", {"dropout": 0.5}, "res3d_18 has no option 'dropout'"),
        ("c3d", {"name": "x"}, "multiple values|has no option"),
    ],
)
def test_unknown_names_and_options_are_said(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises((UsageError, TypeError), match=message):
        create_model(name, **options)  # type: ignore[arg-type]
    with pytest.raises((UsageError, TypeError), match=message):
        model_info(name, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0"])
def test_seeds_are_whole_numbers(seed: object) -> None:
    with pytest.raises(UsageError, match="seed="):
        create_model("c3d_small", 3, seed=seed)  # type: ignore[arg-type]


def test_options_and_their_defaults() -> None:
    assert model_options("c3d") == {
        "width": 1.0, "clip_length": 16, "step_frames": 1, "side": 112, "batch_norm": False, "dropout": 0.5,
    }  # fmt: skip
    assert model_options("c3d_small")["width"] == 0.25
    assert model_options("sr18")["clip_length"] == 4


def test_info_is_of_the_network_asked_for() -> None:
    info = model_info("c3d_small", 5, side=28)
    assert info.num_classes == 5
    assert info.input.shape == (3, 16, 28, 28)
    assert info.options["side"] == 28
    assert info.layer_names[-1] == "prob"
    assert [layer.name for layer in info.layers][-1] == "fc8"
    assert info.layers[-1].output_shape == (1, 5)
    assert info.paper.arxiv == "1412.0767"


def test_input_specs_name_the_recipes_of_the_papers() -> None:
    recipes = {name: build_meta(name, 5, {}).input.recipe for name in list_models()}
    assert recipes["c3d"] == "c3d_sports1m"
    assert recipes["c3d_depth3"] == "c3d_channel_mean"
    assert recipes["res3d_34"] == recipes["sr18"] == "res3d"
    assert recipes["c3d_small"] == "c3d_small"
    assert model_info("res3d_18").input.step_frames == 2
    assert model_info("c3d").input.step_frames == 1


def test_the_package_offers_its_names_lazily() -> None:
    assert set(tubelet.models.__all__) <= set(dir(tubelet.models))
    for name in tubelet.models.__all__:
        assert getattr(tubelet.models, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tubelet.models.nothing  # noqa: B018


@pytest.mark.parametrize("name", [name for name in list_models() if "step_frames" in model_options(name)])
def test_clips_of_every_nth_frame(name: str) -> None:
    assert build_meta(name, 5, {"step_frames": 7}).input.step_frames == 7
    assert build_meta(name, 5, {}).input.step_frames == model_options(name)["step_frames"]
    with pytest.raises(UsageError, match="step_frames=0 is not a whole number"):
        build_meta(name, 5, {"step_frames": 0})


def test_every_network_of_clips_lets_the_step_be_chosen() -> None:
    fixed = {name for name in list_models() if "step_frames" not in model_options(name)}
    # Networks of single frames, of stacks whose fields or frames follow each other, and of snippets.
    assert {name.split("_")[0] for name in fixed} == {
        "alexnet", "deepvideo", "densenet", "squeezenet", "squeezenet1", "tsn", "two",
    }  # fmt: skip
    published = {name: model_options(name)["step_frames"] for name in list_models() if name not in fixed}
    assert (published["t3d_121"], published["densenet3d_169"]) == (2, 2), "T3D paper, table 6"
    assert (published["res3d_18"], published["c3d"], published["p3d_199"], published["lrcn"]) == (2, 1, 1, 1)

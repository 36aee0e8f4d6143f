"""Recipes: the published values, the hash, the files."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tubelet.clips.boxes import center_offset
from tubelet.clips.recipe import Recipe
from tubelet.clips.recipes import RECIPES, get_recipe
from tubelet.clips.resize import resize
from tubelet.clips.transforms import to_input
from tubelet.errors import InputDataError, UsageError

DATA = Path(os.environ.get("TUBELET_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture
def mean_file(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "mean.npy"
    np.save(path, rng.uniform(40, 120, (3, 16, 128, 171)).astype(np.float32))
    return path


def volume_recipe(**changes: Any) -> Recipe:
    volume = np.random.default_rng(1).uniform(0, 255, (3, 2, 6, 8))
    values = {"name": "v", "resize_hw": (6, 8), "crop_hw": (4, 4), "color": "bgr", "mean_volume": volume}
    return Recipe(**{**values, **changes})


def test_c3d_sports1m(mean_file: Path) -> None:
    recipe = get_recipe("c3d_sports1m", mean_file)
    assert (recipe.resize_hw, recipe.crop_hw, center_offset(recipe.resize_hw, recipe.crop_hw)) == (
        (128, 171),
        (112, 112),
        (8, 29),
    )
    assert (recipe.color, recipe.scale, recipe.flip, recipe.mean) == ("bgr", 1.0, True, None)
    assert recipe.mean_volume is not None
    assert (recipe.mean_volume == np.load(mean_file)).all()


@pytest.mark.parametrize(
    ("name", "mean"),
    [
        ("c3d_channel_mean", (90.25, 97.66, 101.41)),
        ("c3d_v11", (128, 128, 128)),
        ("res3d", (128, 128, 128)),
    ],
)
def test_the_other_published_ones(name: str, mean: tuple[float, ...]) -> None:
    recipe = get_recipe(name)
    assert recipe.name == name
    assert (recipe.resize_hw, recipe.crop_hw, center_offset(recipe.resize_hw, recipe.crop_hw)) == (
        (128, 171),
        (112, 112),
        (8, 29),
    )
    assert (recipe.color, recipe.scale, recipe.flip, recipe.mean) == ("bgr", 1.0, True, mean)


def test_c3d_small_keeps_the_whole_frame() -> None:
    recipe = get_recipe("c3d_small")
    assert recipe.resize_hw == recipe.crop_hw == (56, 56)
    assert center_offset(recipe.resize_hw, recipe.crop_hw) == (0, 0)
    assert (recipe.color, recipe.flip) == ("rgb", True)
    assert recipe.mean is not None
    for level, expected in ((0, -1), (127.5, 0), (255, 1)):
        assert (level - recipe.mean[0]) * recipe.scale == pytest.approx(expected)


def test_r3d_kinetics_is_torchvisions_normalization() -> None:
    recipe = get_recipe("r3d_kinetics")
    assert (recipe.resize_hw, recipe.crop_hw, recipe.color) == ((128, 171), (112, 112), "rgb")
    assert recipe.mean is not None
    assert isinstance(recipe.scale, tuple)
    means, deviations = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)  # of pixels between 0 and 1
    for mean, scale, its_mean, deviation in zip(recipe.mean, recipe.scale, means, deviations, strict=True):
        for level in (0, 100, 255):
            assert (level - mean) * scale == pytest.approx((level / 255 - its_mean) / deviation, rel=1e-12)


def test_every_named_recipe_can_be_had(mean_file: Path) -> None:
    for name in RECIPES:
        assert get_recipe(name, mean_file if name == "c3d_sports1m" else None).name == name


def test_the_hash_is_that_of_the_documented_text() -> None:
    text = (
        '{"color":"bgr","crop_hw":[112,112],"flip":true,"mean":[90.25,97.66,101.41],"mean_volume":null,'
        '"pixel_version":1,"resize_hw":[128,171],"scale":1.0}'
    )
    recipe = get_recipe("c3d_channel_mean")
    assert recipe.hash == hashlib.sha256(text.encode()).hexdigest()
    # From sha256sum on that text: a change of this line makes every stored descriptor stale.
    assert recipe.hash == "2272a18f1303fd61bbe6c2a0ba440b2e92175f20611e47ec35fdbe6db916387f"
    assert get_recipe("c3d_small").hash == "0eb8cbd4582c3dfe68a5a192dc2f9a0bf7f63d3d6ec8a8b035b58e43b85d8ff6"


def test_the_hash_covers_the_volume_by_its_bytes() -> None:
    volume = np.arange(6.0).reshape(3, 1, 1, 2)
    digest = hashlib.sha256(struct.pack("<6f", *range(6))).hexdigest()
    text = (
        '{"color":"bgr","crop_hw":[1,1],"flip":false,"mean":null,"mean_volume":{"sha256":"' + digest + '",'
        '"shape":[3,1,1,2]},"pixel_version":1,"resize_hw":[1,2],"scale":0.5}'
    )
    recipe = Recipe("any", (1, 2), (1, 1), "bgr", mean_volume=volume, scale=0.5, flip=False)
    assert recipe.hash == hashlib.sha256(text.encode()).hexdigest()


def test_the_hash_is_the_same_in_other_processes() -> None:
    program = "from tubelet.clips.recipes import get_recipe; print(get_recipe('res3d').hash)"
    for seed in ("1", "2"):
        environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == get_recipe("res3d").hash


def test_equal_values_are_equal_whatever_their_type_and_name() -> None:
    assert get_recipe("c3d_v11") == get_recipe("res3d")
    same = Recipe("x", [128, np.int64(171)], [112, 112], "bgr", [128, 128, np.float64(128)], scale=1)  # type: ignore[arg-type]
    assert same == get_recipe("res3d")
    assert len({same, get_recipe("res3d"), get_recipe("c3d_small")}) == 2
    assert same != "res3d"


def test_every_value_changes_the_hash() -> None:
    base = volume_recipe()
    other_volume = np.array(base.mean_volume)
    other_volume[2, 1, 5, 7] += 0.5
    changes: list[dict[str, Any]] = [
        {"crop_hw": (4, 5)},
        {"color": "rgb"},
        {"scale": 0.5},
        {"flip": False},
        {"average_flip": True},
        {"mean_volume": None},
        {"mean_volume": None, "mean": (1, 2, 3)},
        {"mean_volume": None, "mean": (1, 3, 2)},
        {"mean_volume": other_volume},
        {"mean_volume": None, "resize_hw": (6, 9)},
    ]
    hashes = {base.hash, *(volume_recipe(**change).hash for change in changes)}
    assert len(hashes) == len(changes) + 1


def test_with_flip() -> None:
    recipe = get_recipe("c3d_small")
    assert recipe.with_flip(True) is recipe
    directional = recipe.with_flip(False)
    assert not directional.flip
    assert directional.with_flip(True) == recipe
    assert not volume_recipe().with_flip(False).flip


def test_mirror_images_are_averaged_only_where_labels_survive_them() -> None:
    recipe = get_recipe("c3d_small")
    both = recipe.with_average_flip()
    assert both.average_flip
    assert both != recipe
    assert Recipe.from_dict(both.to_dict()) == both
    assert both.with_flip(False) == recipe.with_flip(False)
    assert recipe.with_flip(False).with_average_flip() == recipe.with_flip(False)
    with pytest.raises(UsageError, match="mirror images that mean something else"):
        replace(both, flip=False)
    older = recipe.to_dict()
    del older["average_flip"]  # as saved before there was such a thing
    assert Recipe.from_dict(older) == recipe


def test_with_side() -> None:
    recipe = get_recipe("c3d_channel_mean")
    assert recipe.with_side(112) is recipe
    # Tran 2015, section 3: nets of 64 and 256 pixels see 56 and 224 (85.5 is rounded up).
    assert (recipe.with_side(56).resize_hw, recipe.with_side(56).crop_hw) == ((64, 86), (56, 56))
    assert (recipe.with_side(224).resize_hw, recipe.with_side(224).crop_hw) == ((256, 342), (224, 224))
    small = get_recipe("c3d_small").with_side(48)
    assert small.resize_hw == small.crop_hw == (48, 48)
    assert volume_recipe().with_side(4) == volume_recipe()
    with pytest.raises(UsageError, match="c3d_channel_mean"):
        volume_recipe().with_side(2)
    with pytest.raises(UsageError, match="not a square"):
        volume_recipe(crop_hw=(4, 5)).with_side(4)


def test_with_height_and_width_nothing_is_cut_off() -> None:
    recipe = get_recipe("c3d_channel_mean")
    whole = recipe.with_side((240, 320))
    assert whole.resize_hw == whole.crop_hw == (240, 320)
    assert center_offset(whole.resize_hw, whole.crop_hw) == (0, 0)
    assert (whole.color, whole.mean, whole.name) == (recipe.color, recipe.mean, recipe.name)
    assert whole != recipe
    assert recipe.with_side((112, 112)) != recipe.with_side(112)
    # A mean volume has the size of whole frames.
    volume = volume_recipe()
    assert volume.with_side(volume.resize_hw).crop_hw == volume.resize_hw
    with pytest.raises(UsageError, match="c3d_channel_mean"):
        volume.with_side((volume.resize_hw[0] + 1, volume.resize_hw[1]))
    with pytest.raises(UsageError, match="not a square"):
        whole.with_side(56)


def test_small_nets_see_the_whole_field() -> None:
    recipe = get_recipe("flow_small").with_side(96)
    assert recipe.size == recipe.crop_hw == (96, 96)
    levels = np.full((1, 96, 96, 2), 128, np.uint8)
    levels[0, 0, 0] = (255, 0)  # motion in the frame's corner, which other recipes of flow cut off
    levels[0, 95, 95] = (138, 121)
    expected = np.zeros((2, 1, 96, 96), np.float32)
    expected[:, 0, 0, 0] = (127, -128)
    expected[:, 0, 95, 95] = (10, -7)
    assert (to_input(levels, recipe).numpy() == expected).all()
    assert (to_input(levels, recipe, flip=True).numpy()[:, 0, 0, 95] == (-128, -128)).all()  # 255 - 255 - 128


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "c3d_sports1m"])
def test_saved_recipes_are_read_back(name: str, tmp_path: Path) -> None:
    recipe = get_recipe(name).with_flip(False)
    path = recipe.save(tmp_path / "model")
    assert path.name == "preprocessor_config.json"
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    again = Recipe.load(path.parent)
    assert again == recipe
    assert again.name == name


def test_a_volume_is_saved_beside(tmp_path: Path) -> None:
    recipe = volume_recipe()
    recipe.save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mean_volume.npy", "preprocessor_config.json"]
    again = Recipe.load(tmp_path)
    assert again == recipe
    assert again.mean_volume is not None
    assert recipe.mean_volume is not None
    assert (again.mean_volume == recipe.mean_volume).all()
    with pytest.raises(ValueError, match="read-only"):
        again.mean_volume[0] = 0


def test_damaged_folders(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"cannot read the recipe.*save the model folder again"):
        Recipe.load(tmp_path)
    path = volume_recipe().save(tmp_path)
    np.save(tmp_path / "mean_volume.npy", np.zeros((3, 2, 6, 8), np.float32))
    with pytest.raises(InputDataError, match=r"damaged.*describes the mean volume"):
        Recipe.load(tmp_path)
    (tmp_path / "mean_volume.npy").unlink()
    with pytest.raises(InputDataError, match="cannot read the mean volume"):
        Recipe.load(tmp_path)
    good = get_recipe("res3d").to_dict()
    for text in (
        "{",
        "[]",
        "{}",
        json.dumps({**good, "extra": 1}),
        json.dumps({**good, "scale": "one"}),
        json.dumps({**good, "flip": "no"}),
        json.dumps({**good, "mean": 3}),
        json.dumps({**good, "crop_hw": [112]}),
        json.dumps({key: good[key] for key in good if key != "color"}),
    ):
        path.write_text(text)
        with pytest.raises(InputDataError, match="save the model folder again"):
            Recipe.load(tmp_path)


def test_from_dict_wants_the_volume() -> None:
    recipe = volume_recipe()
    with pytest.raises(UsageError, match="describes the mean volume"):
        Recipe.from_dict(recipe.to_dict())
    assert Recipe.from_dict(recipe.to_dict(), recipe.mean_volume) == recipe
    with pytest.raises(UsageError, match="describes the mean volume None"):
        Recipe.from_dict(volume_recipe(mean_volume=None).to_dict(), recipe.mean_volume)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"resize_hw": (0, 8)}, "resize_hw"),
        ({"crop_hw": (4, 4.5)}, "crop_hw"),
        ({"crop_hw": 4}, "crop_hw"),
        ({"crop_hw": (7, 4)}, "crop no more than"),
        ({"color": "gray"}, "choose rgb, bgr or flow"),
        ({"scale": 0}, "positive"),
        ({"scale": float("nan")}, "positive"),
        ({"flip": 1}, "True or False"),
        ({"average_flip": 1}, "True or False"),
        ({"mean": (1, 2, 3)}, "two means"),
        ({"mean_volume": None, "mean": (1, 2)}, "three gray levels"),
        ({"mean_volume": None, "mean": (1, 2, float("inf"))}, "three gray levels"),
        ({"mean_volume": np.zeros((2, 3, 6, 8))}, "(3, T, H, W)"),
        ({"mean_volume": np.zeros((3, 2, 8, 6))}, "(3, T, height, width)"),
    ],
)
def test_values_that_do_not_fit(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        volume_recipe(**changes)
    assert says in str(caught.value)


def test_refusals_of_get_recipe(mean_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="c3d_channel_mean"):
        get_recipe("c3d_sports1m")
    with pytest.raises(UsageError, match="choose one of c3d_sports1m"):
        get_recipe("c3d")
    with pytest.raises(UsageError, match="res3d takes no mean file"):
        get_recipe("res3d", mean_file)
    np.save(tmp_path / "other.npy", np.zeros((3, 16, 112, 112)))
    with pytest.raises(InputDataError, match=r"\(3, 16, 112, 112\)"):
        get_recipe("c3d_sports1m", tmp_path / "other.npy")


def test_the_real_mean() -> None:
    path = DATA / "means" / "train01_16_128_171_mean.npy.bz2"
    if not path.exists():
        pytest.skip(f"no mean volume in {DATA}")
    recipe = get_recipe("c3d_sports1m", path)
    assert recipe.mean_volume is not None
    mean = recipe.mean_volume.mean((1, 2, 3), dtype=np.float64)
    assert np.allclose(mean, get_recipe("c3d_channel_mean").mean or (), atol=0.005)


def test_three_scales_divide_each_channel_by_its_own_deviation() -> None:
    recipe = get_recipe("resnet_rgb").with_side(4)
    frames = np.full((1, 5, 6, 3), (10, 128, 250), dtype=np.uint8)
    values = to_input(frames, recipe)[:, 0, 0, 0]
    expected = [(10 / 255 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (250 / 255 - 0.406) / 0.225]
    np.testing.assert_allclose(values.numpy(), expected, rtol=1e-5)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    with pytest.raises(UsageError, match="positive"):
        Recipe("x", (2, 2), (2, 2), scale=(1.0, 2.0))  # type: ignore[arg-type]


def test_frames_that_keep_their_aspect() -> None:
    recipe = get_recipe("two_stream_rgb")
    assert (recipe.resize_hw, recipe.resize_short, recipe.size) == (None, 256, 256)
    assert all(recipe.fits(hw) for hw in ((256, 341), (455, 256), (256, 256)))
    assert not any(recipe.fits(hw) for hw in ((255, 341), (341, 455), (240, 320)))
    text = (
        '{"color":"rgb","crop_hw":[224,224],"flip":true,"mean":[123.68,116.78,103.94],"mean_volume":null,'
        '"pixel_version":1,"resize_hw":null,"resize_short":256,"scale":1.0}'
    )
    assert recipe.hash == hashlib.sha256(text.encode()).hexdigest()
    assert recipe != replace(recipe, resize_hw=(256, 341), resize_short=None)
    assert (recipe.with_side(112).resize_short, recipe.with_side(112).crop_hw) == (128, (112, 112))
    whole = recipe.with_side((240, 320))
    assert (whole.resize_hw, whole.resize_short, whole.crop_hw) == ((240, 320), None, (240, 320))
    again = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert again == recipe
    assert again.size == 256


def test_frames_of_four_by_three_are_resized_as_before() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, 240, 320, 3), dtype=np.uint8)
    for name in ("two_stream_rgb", "vgg_m_bgr", "resnet_rgb", "t3d_rgb"):
        recipe = get_recipe(name)
        fixed = replace(recipe, resize_hw=(256, 341), resize_short=None)
        assert (resize(frames, recipe.size) == resize(frames, fixed.size)).all()
        assert torch.equal(to_input(resize(frames, 256), recipe), to_input(resize(frames, (256, 341)), fixed))


def test_recipes_saved_before_a_shorter_side_are_read() -> None:
    older = get_recipe("tsn_rgb").to_dict()
    del older["resize_short"]
    assert Recipe.from_dict(older) == get_recipe("tsn_rgb")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"resize_short": None}, "give one of them"),
        ({"resize_hw": (8, 8)}, "give one of them"),
        ({"resize_short": 0}, "resize_short"),
        ({"resize_short": 2.5}, "resize_short"),
        ({"resize_short": 3}, "crop no more than"),
        ({"mean": None, "mean_volume": np.zeros((3, 2, 8, 8))}, "resizes to 8 and has a mean volume"),
    ],
)
def test_shorter_sides_that_do_not_fit(changes: dict[str, Any], says: str) -> None:
    values = {"name": "s", "resize_hw": None, "crop_hw": (4, 4), "mean": (1, 2, 3), "resize_short": 8}
    with pytest.raises(UsageError, match=says):
        Recipe(**{**values, **changes})


def test_clips_of_any_shape_become_one_shape() -> None:
    recipe = get_recipe("resnet_rgb").with_side(8)  # shorter side 9
    for source in ((30, 53), (53, 30), (40, 40)):
        frames = np.random.default_rng(0).integers(0, 256, (2, *source, 3), dtype=np.uint8)
        resized = resize(frames, recipe.size)
        assert min(resized.shape[1:3]) == 9
        y, x = center_offset(resized.shape[1:3], (8, 8))
        expected = (resized[:, y : y + 8, x : x + 8] / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
        np.testing.assert_allclose(to_input(resized, recipe), expected.transpose(3, 0, 1, 2), atol=1e-5)
        with pytest.raises(UsageError, match="crops out of a shorter side of 9"):
            to_input(frames, recipe)

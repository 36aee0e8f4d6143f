from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from suites.cases.squeezenet import maps_before_conv10
from tubelet import Video
from tubelet.clips.recipes import get_recipe
from tubelet.clips.transforms import resize, to_input
from tubelet.errors import UsageError
from tubelet.models import create_model, model_info
from tubelet.models.contract import VideoModel
from tubelet.models.registry import build_meta

WEIGHTS = Path("weights") / "squeezenet1_0_imagenet.safetensors"


def test_full_size_maps_are_those_of_the_table() -> None:
    model = build_meta("squeezenet", 1000, {})
    x = torch.empty(1, *model.input.shape, device="meta")
    found = {layer: tuple(value.shape[1:]) for layer, value in model.features(x, model.layer_names).items()}
    assert found == {
        "conv1": (96, 1, 111, 111),
        "pool1": (96, 1, 55, 55),
        "fire2": (128, 1, 55, 55),
        "fire3": (128, 1, 55, 55),
        "fire4": (256, 1, 55, 55),
        "pool4": (256, 1, 27, 27),
        "fire5": (256, 1, 27, 27),
        "fire6": (384, 1, 27, 27),
        "fire7": (384, 1, 27, 27),
        "fire8": (512, 1, 27, 27),
        "pool8": (512, 1, 13, 13),
        "fire9": (512, 1, 13, 13),
        "pool10": (512, 1, 1, 1),
        "conv10": (1000,),
        "prob": (1000,),
    }


def test_full_size_maps_of_1_1() -> None:
    """Sizes of poolings round up: 113 → 56, 56 → 28, 28 → 14 under windows of 3 with stride 2."""
    model = build_meta("squeezenet1_1", 1000, {})
    x = torch.empty(1, *model.input.shape, device="meta")
    found = {layer: tuple(value.shape[1:]) for layer, value in model.features(x, model.layer_names).items()}
    assert found == {
        "conv1": (64, 1, 113, 113),
        "pool1": (64, 1, 56, 56),
        "fire2": (128, 1, 56, 56),
        "fire3": (128, 1, 56, 56),
        "pool3": (128, 1, 28, 28),
        "fire4": (256, 1, 28, 28),
        "fire5": (256, 1, 28, 28),
        "pool5": (256, 1, 14, 14),
        "fire6": (384, 1, 14, 14),
        "fire7": (384, 1, 14, 14),
        "fire8": (512, 1, 14, 14),
        "fire9": (512, 1, 14, 14),
        "pool10": (512, 1, 1, 1),
        "conv10": (1000,),
        "prob": (1000,),
    }


@pytest.mark.parametrize(("name", "operations"), [("squeezenet", 0.819), ("squeezenet1_1", 0.349)])
def test_torchvisions_operations_at_224(name: str, operations: float) -> None:
    """In billions, rounded; torchvision's conv10 works at each of 13 × 13 places, and ours on their mean."""
    assert round((model_info(name, 1000, side=224).macs + (13 * 13 - 1) * 512 * 1000) / 1e9, 3) == operations


@pytest.mark.parametrize("name", ["squeezenet", "squeezenet1_1"])
def test_it_takes_caffes_pixels(name: str) -> None:
    info = model_info(name)
    assert (info.input.modality, info.input.shape, info.input.recipe) == ("rgb", (3, 1, 227, 227), "caffenet")
    assert info.options["dropout"] == 0.5
    assert info.paper.arxiv == "1602.07360"


def test_clips_of_any_length_and_side_pass_and_frames_are_averaged() -> None:
    model = create_model("squeezenet", 5, width=0.25).eval()
    x = torch.randn(2, 3, 3, 63, 81, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        alone = torch.stack([model(x[:, :, [t]]) for t in range(3)])
        torch.testing.assert_close(model(x), alone.mean(0), rtol=1e-4, atol=1e-6)
        assert model.features(x, ("pool10",))["pool10"].shape == (2, 128, 3, 1, 1)


@pytest.mark.parametrize("version", ["squeezenet", "squeezenet1_1"])
def test_weights_start_as_in_the_prototxt(version: str) -> None:
    model = create_model(version, 101)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv3d):
            n, fan_in = module.weight.numel(), module.weight[0].numel()
            limit = (3 / fan_in) ** 0.5
            assert float(module.weight.detach().abs().max()) <= limit * (1 + 1e-6), name
            assert float(module.weight.detach().std()) == pytest.approx(fan_in**-0.5, rel=4 / n**0.5), name
            assert (module.bias == 0).all()
    assert float(model.conv10.weight.detach().std()) == pytest.approx(0.01, rel=0.03)
    assert (model.conv10.bias == 0).all()


# ---------------------------------------------------------------------- the released weights


@pytest.fixture(scope="module")
def released(shared_data: Path) -> dict[str, Tensor]:
    """The published ImageNet weights with 2-D kernels."""
    path = shared_data / WEIGHTS
    if not path.is_file():
        pytest.skip(f"the released SqueezeNet weights are not at {path}")
    return load_file(path)


@pytest.fixture(scope="module")
def imagenet(released: dict[str, Tensor]) -> VideoModel:
    """The network with these weights: kernels get a frame axis, conv10 is a matrix."""
    model = create_model("squeezenet", 1000)
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    assert set(shapes) == set(released)
    model.load_state_dict({key: value.reshape(shapes[key]) for key, value in released.items()})
    return model.eval().to(memory_format=torch.channels_last_3d)


@cache
def frames(folder: Path, every: int) -> Tensor:
    """(T, 3, 227, 227): every so manieth frame of a video, as the recipe wants it."""
    recipe = get_recipe("caffenet")
    video = Video(folder, fps=5, cache=False)
    images = resize(video.frames(list(range(0, len(video), every))), recipe.resize_hw)
    return to_input(images, recipe).transpose(0, 1)


def test_released_weights_give_what_2d_convolutions_give(
    released: dict[str, Tensor], imagenet: VideoModel, shared_data: Path
) -> None:
    video = shared_data / "ucf101" / "frames_5fps" / "BlowingCandles" / "v_BlowingCandles_g08_c01"
    x = frames(video, 16)[:2]
    with torch.no_grad():
        maps = maps_before_conv10(released, x)
        one_by_one = F.conv2d(maps, released["conv10.weight"], released["conv10.bias"]).mean((2, 3))
        found = imagenet(x[:, :, None])
        torch.testing.assert_close(found, one_by_one, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(imagenet(x.transpose(0, 1)[None])[0], one_by_one.mean(0), rtol=1e-3, atol=1e-3)
    assert float(found.std()) > 1


def videos_with_class_among_first_five(model: VideoModel, folder: Path, classes: set[int], every: int) -> int:
    videos = sorted(folder.iterdir())
    assert len(videos) == 18
    hits = 0
    for video in videos:
        with torch.inference_mode():
            scores = model(frames(video, every).transpose(0, 1)[None])
        hits += bool(classes & set(scores[0].topk(5).indices.tolist()))
    return hits


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "classes", "least"),
    [
        ("BlowDryHair", {585, 589}, 13),  # hair spray, hand blower
        ("BlowingCandles", {470}, 13),  # candle
    ],
)
def test_real_frames_are_recognized(
    imagenet: VideoModel, shared_data: Path, name: str, classes: set[int], least: int
) -> None:
    folder = shared_data / "ucf101" / "frames_5fps" / name
    assert videos_with_class_among_first_five(imagenet, folder, classes, every=8) >= least


@pytest.mark.parametrize(("name", "smallest"), [("squeezenet", 21), ("squeezenet1_1", 17), ("tsn_squeezenet", 21)])
def test_a_side_that_leaves_nothing_is_refused(name: str, smallest: int) -> None:
    """A pooling of 3, 2 needs 2 rows to leave one, 4 to leave 2, 8 to leave 4; 8 are left of 21 by a 7 x 7, of 17 by a
    3 x 3 convolution of stride 2."""
    model = create_model(name, 2, side=smallest, width=0.0625, seed=0).eval()
    frames = 3 if name.startswith("tsn") else 1
    with torch.no_grad():
        assert model(torch.zeros(1, 3, frames, smallest, smallest)).shape == (1, 2)
    with pytest.raises(
        UsageError, match=f"side={smallest - 1} is too small .some layer would have no output.; enlarge"
    ):
        create_model(name, 2, side=smallest - 1)

"""Maps of TSN, P3D, Two-Stream and ImageNet files: written as their code bases write, read back bit for bit."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tubelet.clips.recipes import RECIPES, get_recipe
from tubelet.errors import InputDataError
from tubelet.models.contract import VideoModel
from tubelet.models.registry import build_meta, create_model, list_models
from tubelet.video.guard import GuardedPool
from tubelet.weights import apply_map, plan_map, read_weights
from tubelet.weights.foreign import ForeignFile, ForeignTensor
from tubelet.weights.maps import imagenet, matching_maps, p3d, tsn, two_stream
from tubelet.weights.maps.name_map import NameMap
from tubelet.weights.torch_file import torch_pool

sys.path.insert(0, str(Path(__file__).parent))
from originals import CLASSES, ORIGINALS, STRANGERS, Named, Original, squeezenet

ALL = (*imagenet.MAPS, *tsn.MAPS, *p3d.MAPS, *two_stream.MAPS)
BY_NAME = {found.name: found for found in ALL}


@pytest.fixture(scope="module")
def pool() -> Iterator[GuardedPool]:
    with torch_pool(1 << 24) as children:
        yield children


@dataclass
class Made:
    original: Original
    source: VideoModel
    named: Named
    foreign: ForeignFile

    @property
    def map(self) -> NameMap:
        return BY_NAME[self.original.layout]

    def shapes_alone(self) -> VideoModel:
        """The network that is to be filled, without memory."""
        return build_meta(self.original.model, CLASSES, self.original.options | dict(self.map.options))

    def zeros(self) -> VideoModel:
        """The network that is to be filled."""
        model = self.shapes_alone().to_empty(device="cpu")
        for tensor in model.state_dict().values():
            tensor.zero_()
        return model


def randomized(model: VideoModel) -> VideoModel:
    """Values that differ everywhere, so that no two tensors can be taken for one another."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for i, tensor in enumerate(model.state_dict().values()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) - 0.5)
            else:
                tensor.fill_(1000 + i)
    return model


def in_memory(name: str, tensor: torch.Tensor) -> ForeignTensor:
    return ForeignTensor(name, "F32", tuple(tensor.shape), None, read=lambda: tensor)


@pytest.fixture(scope="module", params=ORIGINALS, ids=[original.label for original in ORIGINALS])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, pool: GuardedPool) -> Iterator[Made]:
    original: Original = request.param
    source = randomized(build_meta(original.model, CLASSES, original.options).to_empty(device="cpu"))
    named = original.named(source)
    path = original.write(tmp_path_factory.mktemp("original") / "file", named)
    with read_weights(path, pool=pool) as foreign:
        yield Made(original, source, named, foreign)


def test_every_map_has_an_original() -> None:
    assert len(BY_NAME) == len(ALL)
    elsewhere = {f"resnet{depth}-caffe" for depth in (50, 101, 152)}  # test_maps_resnet_caffe.py
    assert {original.layout for original in ORIGINALS} | set(STRANGERS) | elsewhere == set(BY_NAME)


@pytest.mark.parametrize("found", ALL, ids=BY_NAME)
def test_maps_name_what_there_is(found: NameMap) -> None:
    assert set(found.models) <= set(list_models())
    assert found.recipe in RECIPES
    assert found.title


def test_one_map_alone_recognizes_a_file(made: Made) -> None:
    assert [found.name for found in matching_maps(made.foreign)] == [made.original.layout]


def test_every_tensor_comes_to_its_place(made: Made) -> None:
    if not made.original.fits:
        with pytest.raises(InputDataError, match=r"these weights fit no network here.*scaled"):
            made.map.classes(made.foreign)
        return
    assert made.map.models == (made.original.model,)
    assert made.map.classes(made.foreign) == CLASSES
    model = made.zeros()
    report = apply_map(made.foreign, model, made.map.build(model))
    assert {line.outcome for line in report.source_tensors} <= {"used", "transformed"}
    assert len(report.source_tensors) == len(made.named)
    stored = {ours for ours, _, _ in made.named}
    found, wanted = model.state_dict(), made.source.state_dict()
    assert list(found) == list(wanted)
    for name, tensor in found.items():
        if name in stored:
            assert torch.equal(tensor, wanted[name]), name
        else:
            assert name.endswith("num_batches_tracked")
            assert tensor == 0, name


def test_what_does_not_belong_is_named(made: Made) -> None:
    if not made.original.fits:
        return
    weights = [(ours, theirs) for ours, theirs, _ in made.named if not ours.endswith("num_batches_tracked")]
    (absent, theirs_absent), (_, misshaped) = weights[-1], weights[len(weights) // 2]
    values = {theirs: tensor for _, theirs, tensor in made.named if theirs != theirs_absent}
    values |= {misshaped: torch.ones(2, 3), "made_up.tensor": torch.ones(2, 3)}
    tensors = {name: in_memory(name, tensor) for name, tensor in values.items()}
    file = ForeignFile(Path("made"), "made", "0" * 64, tensors)
    model = made.shapes_alone()
    report, _ = plan_map(file, model, made.map.build(model))
    problems = report.problems()
    assert "made_up.tensor is refused: no rule names it" in problems
    assert any(problem.startswith(f"{absent} is missing") for problem in problems)
    assert any(problem.startswith(f"{misshaped} is refused: ") for problem in problems)
    assert len(problems) == 4  # what the misshaped tensor would have filled is missing, too


@pytest.mark.parametrize("layout", STRANGERS)
def test_networks_that_only_look_alike_are_refused(layout: str, tmp_path: Path) -> None:
    save_file(STRANGERS[layout], tmp_path / "file")
    foreign = read_weights(tmp_path / "file")
    assert [found.name for found in ALL if found.recognizes(foreign)] == [layout]
    found = BY_NAME[layout]
    assert found.models == ()
    with pytest.raises(InputDataError, match=r"these weights fit no network here.*network"):
        found.classes(foreign)
    with pytest.raises(InputDataError, match=f"weights of {layout} do not fit squeezenet"):
        found.build(create_model("squeezenet", CLASSES, width=1 / 16))


def test_a_trunk_alone_has_no_classes(tmp_path: Path) -> None:
    for original in (ORIGINALS[0], ORIGINALS[2], next(o for o in ORIGINALS if o.layout == "p3d63-torch-qzhao-rgb")):
        model = create_model(original.model, CLASSES, **original.options)
        tensors = {theirs: t.contiguous() for ours, theirs, t in original.named(model) if model.head_name not in ours}
        save_file(tensors, tmp_path / "file")
        foreign = read_weights(tmp_path / "file")
        assert BY_NAME[original.layout].recognizes(foreign)
        assert BY_NAME[original.layout].classes(foreign) is None


def test_recipes_are_those_the_weights_saw() -> None:
    assert {name: found.recipe for name, found in BY_NAME.items() if name.startswith("tsn-caffe")} == {
        "tsn-caffe-rgb": "tsn_rgb",
        "tsn-caffe-flow": "flow_224",
        "tsn-caffe-converted-rgb": "tsn_rgb",
        "tsn-caffe-converted-flow": "flow_224",
    }
    # The third mean differs between the Caffe release and the PyTorch release.
    assert get_recipe(BY_NAME["tsn-caffe-rgb"].recipe).mean == (104, 117, 123)
    assert get_recipe(BY_NAME["tsn-torch-rgb"].recipe).mean == (104, 117, 128)
    vgg = get_recipe(BY_NAME["two-stream-vgg-m-caffe"].recipe)
    assert (vgg.color, vgg.crop_hw, vgg.mean) == ("bgr", (224, 224), (103.939, 116.779, 123.68))
    # torchvision crops 224 pixels, Caffe's SqueezeNets 227.
    for name in ("squeezenet", "squeezenet1_1"):
        assert (BY_NAME[f"{name}-torchvision"].recipe, BY_NAME[f"{name}-torchvision"].options) == (
            "resnet_rgb",
            {"side": 224},
        )
        assert (BY_NAME[f"{name}-caffe"].recipe, BY_NAME[f"{name}-caffe"].options) == ("caffenet", {})
    assert "p3d_rgb" == BY_NAME["p3d-caffe-rgb"].recipe == BY_NAME["p3d199-torch-qzhao-rgb"].recipe


def test_the_real_squeezenet_fills_ours(shared_data: Path) -> None:
    path = shared_data / "weights" / "squeezenet1_0_imagenet.safetensors"
    if not path.is_file():
        pytest.skip(f"the real SqueezeNet is not at {path}")
    foreign = read_weights(path)
    (found,) = [found for found in ALL if found.recognizes(foreign)]
    assert (found.name, found.classes(foreign), found.recipe) == ("squeezenet-caffe-decoded", 1000, "caffenet")
    model = create_model("squeezenet", 1000)
    report = apply_map(foreign, model, found.build(model))
    assert len(report.source_tensors) == len(model.state_dict()) == 52
    assert {line.outcome for line in report.source_tensors} == {"used", "transformed"}
    tensors = load_file(path)
    for ours, tensor in model.state_dict().items():
        assert torch.equal(squeezenet(ours, tensor)[1], tensors[ours]), ours

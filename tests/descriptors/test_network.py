"""Layers, batches of one, precision and device of the network behind an extractor."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor

from tubelet.descriptors import network as network_module
from tubelet.descriptors.network import ClipNetwork
from tubelet.errors import UsageError
from tubelet.models.contract import VideoModel
from tubelet.models.registry import create_model
from tubelet.models.winograd import WinogradConv3d

LAYERS = ("fc6", "conv5a", "pool5", "prob")


@pytest.fixture(scope="module")
def clips() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(5, 3, 16, 56, 56, generator=generator) * 2 - 1


@pytest.fixture(scope="module")
def expected(model: VideoModel, clips: Tensor) -> dict[str, np.ndarray]:
    """The same network in float64, contiguous, one batch; pooled by numpy."""
    wide = copy.deepcopy(model).double().eval()
    with torch.no_grad():
        maps = {name: value.numpy() for name, value in wide.features(clips.double(), LAYERS).items()}
    maps["conv5a"] = maps["conv5a"].mean(axis=(2, 3, 4))
    maps["pool5"] = maps["pool5"].reshape(len(clips), -1)
    return maps


def relative_error(found: np.ndarray, right: np.ndarray) -> float:
    return float(np.linalg.norm(found - right) / np.linalg.norm(right))


def test_vectors_are_those_of_float64(model: VideoModel, clips: Tensor, expected: dict[str, np.ndarray]) -> None:
    network = ClipNetwork(model, LAYERS, clip_length=16, device="cpu")
    vectors = network(clips)
    assert tuple(vectors) == LAYERS
    assert network.dimensions == {layer: expected[layer].shape[1] for layer in LAYERS}
    for layer in LAYERS:
        assert vectors[layer].dtype == np.float32
        assert relative_error(vectors[layer], expected[layer]) < 1e-5


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1, 1), (2, 3), (4, 1)])
def test_vectors_do_not_depend_on_the_batch(
    model: VideoModel, clips: Tensor, expected: dict[str, np.ndarray], sizes: tuple[int, ...]
) -> None:
    network = ClipNetwork(model, LAYERS, clip_length=16, device="cpu")
    parts = [network(part) for part in torch.split(clips, list(sizes))]
    for layer in LAYERS:
        joined = np.concatenate([part[layer] for part in parts])
        assert joined.shape == expected[layer].shape
        assert relative_error(joined, expected[layer]) < 1e-5


def test_the_network_never_sees_a_batch_of_one(
    model: VideoModel, clips: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = ClipNetwork(model, ("fc6",), clip_length=16, device="cpu")
    seen: list[tuple[int, bool]] = []
    real = VideoModel.features

    def watched(self: VideoModel, x: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
        seen.append((len(x), x.is_contiguous(memory_format=torch.channels_last_3d)))
        return real(self, x, layers)

    monkeypatch.setattr(VideoModel, "features", watched)
    assert network(clips[:1])["fc6"].shape[0] == 1
    network(clips[:3])
    assert seen == [(2, True), (3, True)]


def test_wide_layers_by_winograd_are_those_of_float64() -> None:
    model = create_model("c3d", 5, seed=0, side=56).eval()
    clips = torch.randn(2, 3, 16, 56, 56, generator=torch.Generator().manual_seed(0))
    layers = ("pool5", "fc6", "prob")
    with torch.no_grad():
        exact = copy.deepcopy(model).double().features(clips.double(), layers)
    network = ClipNetwork(model, layers, clip_length=16, device="cpu")
    assert any(isinstance(module, WinogradConv3d) for module in network._model.modules())
    assert not any(isinstance(module, WinogradConv3d) for module in model.modules()), "the caller's own is left alone"
    found = network(clips)
    for layer in layers:
        assert relative_error(found[layer], exact[layer].flatten(1).numpy()) < 2e-5, layer
    with torch.no_grad():  # further training shows in the next batch, in every layer
        for parameter in model.parameters():
            parameter.mul_(1.5)
        changed = copy.deepcopy(model).double().features(clips.double(), ("fc6",))["fc6"].numpy()
    assert relative_error(network(clips)["fc6"], changed) < 2e-5


def test_the_models_mode_and_weights_are_left_as_they_were(model: VideoModel, clips: Tensor) -> None:
    trained = copy.deepcopy(model).train()
    frozen = trained.get_submodule("fc6").eval()
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    network = ClipNetwork(trained, ("fc6", "prob"), clip_length=16, device="cpu")
    first = network(clips)["prob"]
    assert np.array_equal(first, network(clips)["prob"])  # dropout and batch statistics are off
    assert trained.training
    assert not frozen.training
    assert all(torch.equal(before[name], value) for name, value in trained.state_dict().items())
    assert trained.weights_id == model.weights_id


def test_a_clip_averaged_with_its_mirror_image(model: VideoModel, clips: Tensor) -> None:
    layers = ("fc6", "prob", "conv5a")
    plain = ClipNetwork(model, layers, clip_length=16, device="cpu")
    both = ClipNetwork(model, layers, clip_length=16, device="cpu", mirror=lambda batch: batch.flip(-1))
    one, mirrored, found = plain(clips), plain(clips.flip(-1).contiguous()), both(clips)
    for layer in layers:
        assert relative_error(found[layer], (one[layer] + mirrored[layer]) / 2) < 1e-5
        assert relative_error(found[layer], one[layer]) > 1e-3
        assert relative_error(both(clips.flip(-1).contiguous())[layer], found[layer]) < 1e-5  # blind to mirroring


def test_bfloat16_is_close_and_leaves_the_model_alone(
    model: VideoModel, clips: Tensor, expected: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_module, "has_fast_bfloat16", lambda device: True)  # emulated is right too
    network = ClipNetwork(model, LAYERS, clip_length=16, device="cpu", precision="bfloat16")
    assert network.precision == "bfloat16"
    vectors = network(clips)
    for layer in LAYERS:
        assert vectors[layer].dtype == np.float32
        assert relative_error(vectors[layer], expected[layer]) < 3e-2
    assert relative_error(vectors["fc6"], expected["fc6"]) > 1e-5  # it really was bfloat16
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
    # Nothing is shared, or moving the copy to a GPU would take the caller's normalization with it.
    own = {id(parameter) for parameter in model.parameters()}
    assert own
    assert not own & {id(parameter) for parameter in network._model.parameters()}


def test_bfloat16_is_never_chosen_unasked(model: VideoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_module, "has_fast_bfloat16", lambda device: True)
    assert ClipNetwork(model, ("fc6",), clip_length=16, device="cpu").precision == "float32"


def test_bfloat16_that_the_processor_lacks_is_refused(model: VideoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_module, "has_fast_bfloat16", lambda device: False)
    with pytest.raises(UsageError, match="no bfloat16"):
        ClipNetwork(model, ("fc6",), clip_length=16, device="cpu", precision="bfloat16")


def test_layers_are_known_and_named_once(model: VideoModel) -> None:
    assert ClipNetwork(model, "fc6", clip_length=16, device="cpu").layers == ("fc6",)
    assert ClipNetwork(model, ("fc7", "fc6", "fc7"), clip_length=16, device="cpu").layers == ("fc7", "fc6")
    with pytest.raises(UsageError, match=r"no layer fc9; .*fc6"):
        ClipNetwork(model, ("fc6", "fc9"), clip_length=16, device="cpu")
    with pytest.raises(UsageError, match="no layer to extract"):
        ClipNetwork(model, (), clip_length=16, device="cpu")


def test_what_the_machine_or_the_model_cannot_do_is_a_usage_error(
    model: VideoModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="clips of shape"):
        ClipNetwork(model, ("fc6",), clip_length=8, device="cpu")
    with pytest.raises(UsageError, match="no device"):
        ClipNetwork(model, ("fc6",), clip_length=16, device="abacus")
    with pytest.raises(UsageError, match="no precision"):
        ClipNetwork(model, ("fc6",), clip_length=16, device="cpu", precision="float8")  # type: ignore[arg-type]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="no CUDA"):
        ClipNetwork(model, ("fc6",), clip_length=16, device="cuda")
    assert ClipNetwork(model, ("fc6",), clip_length=16, device="auto").device.type == "cpu"


def test_a_failing_kernel_is_explained(model: VideoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(x: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
        raise RuntimeError("Kernel size can't be greater than actual input size\nat somewhere.cpp")

    monkeypatch.setattr(model, "features", broken)
    with pytest.raises(UsageError, match=r"does not take clips of 16 frames of 56x56 .*actual input size"):
        ClipNetwork(model, ("fc6",), clip_length=16, device="cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_vectors_of_float64(model: VideoModel, clips: Tensor, expected: dict[str, np.ndarray]) -> None:
    network = ClipNetwork(copy.deepcopy(model), LAYERS, clip_length=16, device="cuda")
    vectors = network(clips)
    for layer in LAYERS:  # with TF32 left on the error would be near 1e-3
        assert relative_error(vectors[layer], expected[layer]) < 1e-5


@pytest.mark.parametrize(
    ("options", "clips"),
    [
        # Largest activation: conv1a's, channels x 16 x side x side float32; 224 MiB hold so many of them.
        ({"width": 0.375, "side": 112}, 12),  # 24 x 16 x 112 x 112 x 4 = 19,267,584 bytes, 12.2 times
        ({"width": 0.125, "side": 32}, 16),  # 0.5 MB: at most 16 clips
        ({"width": 1.0, "side": 112}, 4),  # C3D's own 51,380,224 bytes
    ],
)
def test_the_batch_fits_the_activations(options: dict[str, float], clips: int) -> None:
    model = create_model("c3d_depth1", 3, **options)
    assert ClipNetwork(model, ("pool5",), clip_length=16, device="cpu").fitting_batch == clips

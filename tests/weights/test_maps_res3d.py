"""Layouts of residual networks: Caffe's, torchvision's three and VMZ's, every tensor in its place, bit for bit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from tubelet.errors import InputDataError
from tubelet.models import create_model, model_info
from tubelet.weights import ForeignFile, apply_map, read_weights
from tubelet.weights.maps import get_map, matching_maps
from tubelet.weights.transforms import BN_FACTOR, TO_VECTOR

sys.path.insert(0, str(Path(__file__).parent))
from made_files import FACTOR, Floats, caffemodel, write

WIDTH, CLASSES = 1 / 16, 5
CHANNELS = {1: 4, 2: 4, 3: 8, 4: 16, 5: 32}
STEM = 3  # round(45 / 16)
STATISTICS = ("weight", "bias", "running_mean", "running_var")
Shapes = dict[str, tuple[int, ...]]


def middle(entering: int, out: int) -> int:
    return (3 * 9 * entering * out) // (9 * entering + 3 * out)


def made(shapes: Shapes) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {name: torch.rand(shape, generator=generator) + 0.1 for name, shape in shapes.items()}


def norm(name: str, channels: int) -> Shapes:
    return {f"{name}.{part}": (channels,) for part in STATISTICS}


def blocks(depths: tuple[int, ...] = (2, 2, 2, 2)) -> list[tuple[int, int, int, int]]:
    """(stage, index, channels that enter, channels that leave)."""
    return [(s, i, CHANNELS[s if i else s - 1], CHANNELS[s]) for s, n in enumerate(depths, 2) for i in range(n)]


# ------------------------------------------------------------------ Caffe


def res3d_shapes() -> Shapes:
    """Tubelet's names; the projection of res2a is there."""
    shapes: Shapes = {"conv1.weight": (4, 3, 3, 7, 7), **norm("conv1_bn", 4)}
    for stage, i, entering, out in blocks():
        block = f"res{stage}{'ab'[i]}"
        shapes |= {f"{block}.branch2a.weight": (out, entering, 3, 3, 3), **norm(f"{block}.branch2a_bn", out)}
        shapes |= {f"{block}.branch2b.weight": (out, out, 3, 3, 3), **norm(f"{block}.branch2b_bn", out)}
        if i == 0:
            shapes |= {f"{block}.branch1.weight": (out, entering, 1, 1, 1), **norm(f"{block}.branch1_bn", out)}
    return shapes | {"fc.weight": (CLASSES, 32), "fc.bias": (CLASSES,)}


def caffe_layers(weights: dict[str, Tensor], classifier: str) -> list[tuple[str, str, list[Floats]]]:
    layers: list[tuple[str, str, list[Floats]]] = []
    for name in weights:
        if name.endswith("_bn.weight") or not name.endswith(".weight"):
            continue
        ours = name.removesuffix(".weight")
        if ours == "fc":
            layers += [(classifier, "InnerProduct", [weights["fc.weight"].numpy(), weights["fc.bias"].numpy()])]
            continue
        block, _, branch = ours.partition(".")
        conv = ours.replace(".", "_")
        where = f"{block.removeprefix('res')}_{branch}" if branch else "_conv1"
        gamma, beta, mean, variance = (weights[f"{ours}_bn.{part}"] for part in STATISTICS)
        sums = [(mean * FACTOR).numpy(), (variance * FACTOR).numpy(), torch.tensor([FACTOR]).numpy()]
        layers += [(conv, "Convolution3D", [weights[name].numpy()])]
        layers += [(f"bn{where}", "BatchNorm", sums), (f"scale{where}", "Scale", [gamma.numpy(), beta.numpy()])]
    return layers


def caffe_file(path: Path, layers: list[tuple[str, str, list[Floats]]]) -> ForeignFile:
    return read_weights(write(path, caffemodel(layers, "V2", "shape")))


@pytest.mark.parametrize("classifier", ["fc8", "fc8-new"])
def test_the_caffe_release(tmp_path: Path, classifier: str) -> None:
    weights = made(res3d_shapes())
    layers = caffe_layers(weights, classifier)
    assert {"conv1", "bn_conv1", "scale_conv1", "res2a_branch1", "bn5b_branch2b", "scale3a_branch2a"} <= {
        name for name, _, _ in layers
    }
    foreign = caffe_file(tmp_path / "net", layers)
    assert [each.name for each in matching_maps(foreign)] == ["res3d-caffe"]
    known = get_map("res3d-caffe")
    assert known.classes(foreign) == CLASSES
    model = create_model("res3d_18", CLASSES, width=WIDTH, **known.options)
    report = apply_map(foreign, model, known.build(model))
    state = model.state_dict()
    assert {name for name in state if not name.endswith("num_batches_tracked")} == set(weights)
    assert all(torch.equal(state[name], tensor) for name, tensor in weights.items())
    line = next(line for line in report.source_tensors if line.name == "bn3a_branch1[1]")
    assert (line.target, line.detail) == (
        "res3a.branch1_bn.running_var",
        f"{TO_VECTOR}, {BN_FACTOR}",
    )


def test_the_network_of_the_paper_refuses_the_projection(tmp_path: Path) -> None:
    foreign = caffe_file(tmp_path / "net", caffe_layers(made(res3d_shapes()), "fc8"))
    model = create_model("res3d_18", CLASSES, width=WIDTH)
    with pytest.raises(
        InputDataError, match=r"res2a_branch1\[0\] is refused: the network has no res2a\.branch1\.weight"
    ):
        apply_map(foreign, model, get_map("res3d-caffe").build(model))


@pytest.mark.parametrize(
    ("lost", "why"),
    [
        ("res4b_branch2a", "res4b.branch2a.weight is missing"),
        ("bn4b_branch2a", "res4b.branch2a_bn.running_mean is missing"),
        ("scale_conv1", "conv1_bn.weight is missing"),
    ],
)
def test_a_lost_layer_is_named(tmp_path: Path, lost: str, why: str) -> None:
    layers = [layer for layer in caffe_layers(made(res3d_shapes()), "fc8") if layer[0] != lost]
    model = create_model("res3d_18", CLASSES, width=WIDTH, projection=True)
    with pytest.raises(InputDataError, match=why.replace(".", r"\.")):
        apply_map(caffe_file(tmp_path / "net", layers), model, get_map("res3d-caffe").build(model))


# ------------------------------------------------------------------ torchvision


def torchvision(
    kind: str, vmz: bool = False, depths: tuple[int, ...] = (2, 2, 2, 2)
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """torchvision's name → (Tubelet's name, shape), as its classes put them together, or VMZ's convolutions in them."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {}

    def conv(theirs: str, ours: str, *shape: int) -> None:
        found[f"{theirs}.weight"] = (f"{ours}.weight", shape)

    def bn(theirs: str, ours: str, channels: int) -> None:
        for part in STATISTICS:
            found[f"{theirs}.{part}"] = (f"{ours}.{part}", (channels,))
        found[f"{theirs}.num_batches_tracked"] = (f"{ours}.num_batches_tracked", ())

    if kind == "r2plus1d":
        conv("stem.0", "conv1.middle", STEM, 3, 1, 7, 7)
        bn("stem.1", "conv1.middle_bn", STEM)
        conv("stem.3", "conv1.time", 4, STEM, 3, 1, 1)
        bn("stem.4", "conv1_bn", 4)
    else:
        conv("stem.0", "conv1", 4, 3, 3, 7, 7)
        bn("stem.1", "conv1_bn", 4)
    for stage, i, entering, out in blocks(depths):
        theirs, ours = f"layer{stage - 1}.{i}", f"res{stage}{'abcdef'[i]}"
        depth = 3 if kind == "r3d" or stage == 2 else 1
        for place, inside, branch in ((1, entering, "branch2a"), (2, out, "branch2b")):
            if kind == "r2plus1d":
                between = middle(out if vmz and place == 2 else entering, out)
                conv(f"{theirs}.conv{place}.0.0", f"{ours}.{branch}.middle", between, inside, 1, 3, 3)
                bn(f"{theirs}.conv{place}.0.1", f"{ours}.{branch}.middle_bn", between)
                conv(f"{theirs}.conv{place}.0.3", f"{ours}.{branch}.time", out, between, 3, 1, 1)
            else:
                conv(f"{theirs}.conv{place}.0", f"{ours}.{branch}", out, inside, depth, 3, 3)
            bn(f"{theirs}.conv{place}.1", f"{ours}.{branch}_bn", out)
        if i == 0 and stage > 2:
            conv(f"{theirs}.downsample.0", f"{ours}.branch1", out, entering, 1, 1, 1)
            bn(f"{theirs}.downsample.1", f"{ours}.branch1_bn", out)
    found["fc.weight"], found["fc.bias"] = ("fc.weight", (CLASSES, 32)), ("fc.bias", (CLASSES,))
    return found


def torch_weights(names: dict[str, tuple[str, tuple[int, ...]]]) -> dict[str, Tensor]:
    weights = made({name: shape for name, (_, shape) in names.items()})
    return {n: torch.tensor(7) if n.endswith("tracked") else t for n, t in weights.items()}


def stored(path: Path, weights: dict[str, Tensor]) -> ForeignFile:
    save_file(weights, path)
    return read_weights(path)


NETWORKS = {"r3d": "res3d_18", "mc3": "mc3_18", "r2plus1d": "r2plus1d_18"}
DEPTHS_34 = (3, 4, 6, 3)


def check(foreign: ForeignFile, names: dict[str, tuple[str, tuple[int, ...]]], layout: str, network: str) -> set[float]:
    """Every tensor of ``torch_weights(names)`` comes to its place; the network's epsilons."""
    weights = torch_weights(names)
    assert [each.name for each in matching_maps(foreign)] == [layout]
    known = get_map(layout)
    assert known.models == (network,)
    assert known.classes(foreign) == CLASSES
    model = create_model(network, CLASSES, width=WIDTH, **known.options)
    report = apply_map(foreign, model, known.build(model))
    assert {line.outcome for line in report.source_tensors} == {"used"}
    state = model.state_dict()
    assert set(state) == {ours for ours, _ in names.values()}
    assert all(torch.equal(state[ours], weights[theirs]) for theirs, (ours, _) in names.items())
    return {m.eps for m in model.modules() if isinstance(m, torch.nn.BatchNorm3d)}


@pytest.mark.parametrize("kind", NETWORKS)
def test_torchvision(tmp_path: Path, kind: str) -> None:
    names = torchvision(kind)
    foreign = stored(tmp_path / "w", torch_weights(names))
    assert check(foreign, names, f"{kind}-torchvision", NETWORKS[kind]) == {1e-5}  # torch's default


def test_vmz(tmp_path: Path) -> None:
    names = torchvision("r2plus1d", vmz=True, depths=DEPTHS_34)
    foreign = stored(tmp_path / "w", torch_weights(names))
    assert check(foreign, names, "r2plus1d34-vmz", "r2plus1d_34") == {1e-3}  # m.eps in VMZ's builder
    model = create_model("r2plus1d_34", CLASSES, width=WIDTH, shared_middle=True)
    with pytest.raises(InputDataError, match=r"layer2\.0\.conv2\.0\.0\.weight is refused: its shape is"):
        apply_map(foreign, model, get_map("r2plus1d34-vmz").build(model))


@pytest.mark.parametrize(("kind", "parameters"), [("r3d", 33_371_472), ("mc3", 11_695_440), ("r2plus1d", 31_505_325)])
def test_torchvisions_own_counts(kind: str, parameters: int) -> None:
    """Its ``num_params`` at 400 classes."""
    assert model_info(NETWORKS[kind], 400, **get_map(f"{kind}-torchvision").options).parameters == parameters


def test_channels_of_vmz_are_not_taken_for_torchvisions(tmp_path: Path) -> None:
    foreign = stored(tmp_path / "w", torch_weights(torchvision("r2plus1d", vmz=True)))
    assert matching_maps(foreign) == []
    known = get_map("r2plus1d-torchvision")
    model = create_model("r2plus1d_18", CLASSES, width=WIDTH, **known.options)
    with pytest.raises(InputDataError, match=r"layer2\.0\.conv2\.0\.0\.weight is refused: its shape is"):
        apply_map(foreign, model, known.build(model))


def test_what_torchvision_does_not_have_is_named(tmp_path: Path) -> None:
    weights = torch_weights(torchvision("r3d"))
    known = get_map("r3d-torchvision")
    model = create_model("res3d_18", CLASSES, width=WIDTH)
    deeper = weights | {"layer1.2.conv1.0.weight": torch.ones(4, 4, 3, 3, 3)}
    with pytest.raises(InputDataError, match=r"layer1\.2\.conv1\.0\.weight is refused: no rule names it"):
        apply_map(stored(tmp_path / "a", deeper), model, known.build(model))
    less = {name: tensor for name, tensor in weights.items() if name != "layer4.1.conv2.1.running_var"}
    with pytest.raises(InputDataError, match=r"res5b\.branch2b_bn\.running_var is missing"):
        apply_map(stored(tmp_path / "b", less), model, known.build(model))
    uncounted = {name: tensor for name, tensor in weights.items() if not name.endswith("tracked")}
    report = apply_map(stored(tmp_path / "c", uncounted), model, known.build(model))  # as torch before 0.4.1 saved
    assert report.problems() == []


def test_the_shared_middle_computes_what_its_factors_say() -> None:
    """One block in float64 beside plain convolutions, with torchvision's channels and epsilon."""
    model = create_model("r2plus1d_18", CLASSES, width=WIDTH, epsilon=0.25, shared_middle=True).double().eval()
    block = model.get_submodule("res3a")
    w = dict(block.state_dict())
    assert w["branch2b.middle.weight"].shape[0] == w["branch2a.middle.weight"].shape[0] == middle(4, 8)
    x = torch.rand(1, 4, 4, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def bn(x: Tensor, name: str) -> Tensor:
        gamma, beta, mean, variance = (w[f"{name}.{part}"] for part in STATISTICS)
        return F.batch_norm(x, mean, variance, gamma, beta, eps=0.25)

    def factors(x: Tensor, name: str, stride: int) -> Tensor:
        x = F.conv3d(x, w[f"{name}.middle.weight"], None, (1, stride, stride), (0, 1, 1))
        x = bn(x, f"{name}.middle_bn").clamp(min=0)
        return bn(F.conv3d(x, w[f"{name}.time.weight"], None, (stride, 1, 1), (1, 0, 0)), f"{name}_bn")

    y = factors(factors(x, "branch2a", 2).clamp(min=0), "branch2b", 1)
    expected = (y + bn(F.conv3d(x, w["branch1.weight"], None, 2), "branch1_bn")).clamp(min=0)
    torch.testing.assert_close(block(x), expected, rtol=1e-12, atol=1e-12)

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tubelet.errors import UsageError
from tubelet.models import create_model, model_info
from tubelet.models.bn_inception import BnInception
from tubelet.models.contract import VideoModel
from tubelet.models.layers import CaffePool
from tubelet.models.registry import build_meta


def small() -> VideoModel:
    return create_model("tsn_bn_inception", 5, width=0.125, side=64).eval()


def test_shapes_are_those_of_the_specification() -> None:
    # spec section 2.2
    model = build_meta("tsn_bn_inception", 101, {"segments": 7}).eval()
    with torch.no_grad():
        found = model.features(torch.empty(2, 3, 7, 224, 224, device="meta"), model.layer_names)
    stem = {
        "conv1_7x7_s2": (64, 112),
        "pool1_3x3_s2": (64, 56),
        "conv2_3x3_reduce": (64, 56),
        "conv2_3x3": (192, 56),
        "pool2_3x3_s2": (192, 28),
    }
    blocks = {"3a": 256, "3b": 320, "3c": 576, "4a": 576, "4b": 576, "4c": 608, "4d": 608, "4e": 1056}
    blocks |= {"5a": 1024, "5b": 1024}
    sides = (28, 28, 14, 14, 14, 14, 14, 7, 7, 7)
    wanted = stem | {
        f"inception_{block}_output": (channels, side)
        for (block, channels), side in zip(blocks.items(), sides, strict=True)
    }
    assert model.layer_names == (*wanted, "global_pool", "segment_scores", "fc_action", "prob")
    for layer, (channels, side) in wanted.items():
        assert found[layer].shape == (2, channels, 7, side, side), layer
    assert found["global_pool"].shape == (2, 1024, 7, 1, 1)
    assert found["segment_scores"].shape == (2, 101, 7, 1, 1)
    assert found["fc_action"].shape == found["prob"].shape == (2, 101)


def caffe_names() -> Iterator[str]:
    """Convolutions of the released prototxts."""
    yield from ("conv1/7x7_s2", "conv2/3x3_reduce", "conv2/3x3")
    for block in ("3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        halves = block in ("3c", "4e")
        branches = ["3x3_reduce", "3x3", "double_3x3_reduce", "double_3x3_1", "double_3x3_2"]
        for branch in branches if halves else ["1x1", *branches, "pool_proj"]:
            yield f"inception_{block}/{branch}"


def test_layers_and_keys_are_those_of_the_release() -> None:
    model = build_meta("tsn_bn_inception", 101, {})
    convs = {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv3d)}
    assert set(convs) == {name.replace("/", "_") for name in caffe_names()}
    assert len(convs) == 69
    assert all(conv.bias is not None and conv.kernel_size[0] == 1 for conv in convs.values())
    norms = {name: module for name, module in model.named_modules() if isinstance(module, nn.BatchNorm3d)}
    assert set(norms) == {f"{name}_bn" for name in convs}
    assert {(norm.eps, norm.momentum) for norm in norms.values()} == {(1e-5, 0.1)}
    assert sum(norm.num_features for norm in norms.values()) == 10_016
    assert sum(conv.bias.numel() for conv in convs.values()) == 10_016
    assert next(iter(norms)) == "conv1_7x7_s2_bn"  # the one that partial batch normalization trains
    strided = {name for name, conv in convs.items() if conv.stride == (1, 2, 2)}
    assert strided == {
        "conv1_7x7_s2",
        *(f"inception_{block}_{conv}" for block in ("3c", "4e") for conv in ("3x3", "double_3x3_2")),
    }
    keys = {key.split(".")[0] for key in model.state_dict()}
    assert keys == {*convs, *norms, "fc_action"}


def pooled(x: np.ndarray, kind: str, stride: int, pad: int) -> np.ndarray:
    """Caffe's pooling of one image with windows of 3: any that begins in the image or its padding before it."""
    height, width = x.shape
    filler = -np.inf if kind == "max" else 0.0
    big = np.full((height + 2 * pad + 3, width + 2 * pad + 3), filler)
    big[pad : pad + height, pad : pad + width] = x
    counts = [-(-(size + 2 * pad - 3) // stride) + 1 for size in (height, width)]
    counts = [
        n - 1 if pad and (n - 1) * stride >= size + pad else n for n, size in zip(counts, (height, width), strict=True)
    ]
    result = np.empty(counts)
    for i in range(counts[0]):
        for j in range(counts[1]):
            top, left = i * stride, j * stride
            window = big[top : top + 3, left : left + 3]
            area = (min(top + 3, height + 2 * pad) - top) * (min(left + 3, width + 2 * pad) - left)
            result[i, j] = window.max() if kind == "max" else window.sum() / area
    return result


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (2, 5), (6, 7), (8, 8), (11, 9)])
@pytest.mark.parametrize(("stride", "pad"), [(1, 1), (2, 0), (2, 1)])
@pytest.mark.parametrize("kind", ["max", "average"])
def test_poolings_are_caffes_on_images_of_all_sizes(
    size: tuple[int, int], stride: int, pad: int, kind: Literal["max", "average"]
) -> None:
    x = torch.randn(2, 3, 4, *size, generator=torch.Generator().manual_seed(0))
    pool = CaffePool(kind, (1, 3, 3), (1, stride, stride), (0, pad, pad))
    if not pad and min(size) < (3 if kind == "average" else 2):
        with pytest.raises(RuntimeError):  # smaller than the window, and no padding makes up for it
            pool(x)
        return
    found = pool(x)
    for n in range(2):
        for c in range(3):
            for t in range(4):
                wanted = pooled(x[n, c, t].double().numpy(), kind, stride, pad)
                np.testing.assert_allclose(found[n, c, t].numpy(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [2, 7])
def test_averages_are_rounded_once_in_reduced_precision(size: int) -> None:
    x = torch.randn(2, 3, 2, size, size, generator=torch.Generator().manual_seed(0)).bfloat16()
    pool = CaffePool("average", (1, 3, 3), (1, 1, 1), (0, 1, 1))
    exact = pool(x.double())
    assert pool(x).dtype == torch.bfloat16
    assert torch.equal(pool(x), exact.float().bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(pool(x), exact.float().bfloat16())
        assert pool(x.float()).dtype == torch.float32


def test_each_block_has_its_kind_of_pooling() -> None:
    model = small()
    x = torch.randn(1, 2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    kinds = {f"inception_{block}_pool": ("average", 1, 1) for block in ("3a", "3b", "4a", "4b", "4c", "4d", "5a")}
    kinds |= {"inception_5b_pool": ("max", 1, 1)}
    kinds |= dict.fromkeys(("pool1_3x3_s2", "pool2_3x3_s2", "inception_3c_pool", "inception_4e_pool"), ("max", 2, 0))
    assert {name for name, module in model.named_modules() if isinstance(module, CaffePool)} == set(kinds)
    for layer, kind in kinds.items():
        found = model.get_submodule(layer)(x)[0, 0, 0].numpy()
        np.testing.assert_allclose(found, pooled(x[0, 0, 0].double().numpy(), *kind), rtol=1e-5, atol=1e-6)


def test_branches_are_concatenated_in_the_order_of_the_release() -> None:
    model = small()
    x = torch.randn(2, 3, 2, 64, 64, generator=torch.Generator().manual_seed(1))
    outputs: dict[str, Tensor] = {}
    for branch in ("1x1_bn", "3x3_bn", "double_3x3_2_bn", "pool_proj_bn"):
        model.get_submodule(f"inception_4c_{branch}").register_forward_hook(
            lambda _, __, output, branch=branch: outputs.update({branch: output.detach().clamp(min=0)})
        )
    found = model.features(x, ("inception_4c_output",))["inception_4c_output"]
    wanted = [outputs[branch] for branch in ("1x1_bn", "3x3_bn", "double_3x3_2_bn", "pool_proj_bn")]
    assert [branch.shape[1] for branch in wanted] == [20, 20, 20, 16]
    torch.testing.assert_close(found, torch.cat(wanted, 1), rtol=0, atol=0)
    # 3c passes its pooled input on, behind its two branches.
    both = model.features(x, ("inception_3b_output", "inception_3c_output"))
    pool = CaffePool("max", (1, 3, 3), (1, 2, 2))
    torch.testing.assert_close(both["inception_3c_output"][:, -40:], pool(both["inception_3b_output"]), rtol=0, atol=0)


def test_sides_that_cannot_be_halved_are_refused() -> None:
    for side in (32, 64, 96, 224, 256):
        assert model_info("tsn_bn_inception", width=0.125, side=side).input.side == side
    for side in (1, 16, 48, 112, 200):
        with pytest.raises(UsageError, match=r"does not fit BN-Inception .* multiple of 4.*choose a multiple of 32"):
            create_model("tsn_bn_inception", 5, side=side)
    # The rule refuses nothing that works and lets nothing pass that does not.
    for side in range(20, 100):
        fits = True
        try:
            BnInception(0.125, side)
        except UsageError:
            fits = False
        rows = [(side + 1) // 2]
        for _ in range(2):
            rows.append(-(-(rows[-1] - 3) // 2) + 1)
        works = rows[-1] >= 4
        for _ in range(2):
            conv, pool = (rows[-1] - 1) // 2 + 1, -(-(rows[-1] - 3) // 2) + 1
            works, rows = works and conv == pool, [*rows, pool]
        assert fits == works, side


def test_starting_weights_are_the_prototxts() -> None:
    model = create_model("tsn_bn_inception", 101, width=0.5, modality="flow")
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv3d):
            limit = (3 / module.weight[0].numel()) ** 0.5
            assert module.weight.abs().max() <= limit, name
            n = module.weight.numel()
            # The standard deviation of n uniform draws has a relative error of about 1/√(5n).
            assert float(module.weight.detach().std()) == pytest.approx(limit / 3**0.5, rel=4 / (5 * n) ** 0.5), name
            assert (module.bias == np.float32(0.2)).all(), name
    assert float(model.fc_action.weight.detach().std()) == pytest.approx(0.001, rel=0.02)
    assert (model.fc_action.bias == 0).all()

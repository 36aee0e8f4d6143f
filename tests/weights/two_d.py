"""What the tests of weights share: networks that are not in their starting state, and time without an end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suites.lively import lively
from tubelet.models.contract import VideoModel


def counted(model: VideoModel, seed: int = 0) -> VideoModel:
    """All weights, biases and statistics drawn, in evaluation mode, the norms having counted seven batches."""
    for module in lively(model, seed, shift=0.2).modules():
        if isinstance(module, nn.BatchNorm3d) and module.num_batches_tracked is not None:
            module.num_batches_tracked.fill_(7)
    return model


@contextmanager
def time_without_ends(model: nn.Module) -> Iterator[None]:
    """Convolutions repeat the first and last frame where they have zeros: what does not move then has no border.

    Poolings need nothing: padded ones take maxima, for which padding does not count, and averages are not padded in
    time. Strides leave frames out that are like the others.
    """

    def repeat_ends(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        frames = depths[module]
        return (F.pad(inputs[0], (0, 0, 0, 0, frames, frames), mode="replicate"),)

    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv3d) and module.padding[0]]
    depths = {module: int(module.padding[0]) for module in convolutions}
    hooks = []
    for module in convolutions:
        module.padding = (0, *module.padding[1:])
        hooks.append(module.register_forward_pre_hook(repeat_ends))
    try:
        yield
    finally:
        for module, hook in zip(convolutions, hooks, strict=True):
            hook.remove()
            module.padding = (depths[module], *module.padding[1:])


def frozen(frame: Tensor, frames: int) -> Tensor:
    """(N, C, 1, H, W) → the same frame again and again."""
    return frame.expand(-1, -1, frames, -1, -1).contiguous()


def resnet_weights(blocks: tuple[int, ...], classes: int, numbered: bool, device: str = "meta") -> dict[str, Tensor]:
    """An ImageNet ResNet in Caffe's or the letters' names, kernels (out, in, k, k), by plain arithmetic."""
    weights: dict[str, Tensor] = {}

    def norm(name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            weights[f"{name}_bn.{part}"] = torch.rand(channels, device=device) + 0.5

    def conv(name: str, out: int, channels: int, side: int) -> None:
        weights[f"{name}.weight"] = torch.randn(out, channels, side, side, device=device) * (2 / channels) ** 0.5 / side
        norm(name, out)

    conv("conv1", 64, 3, 7)
    channels = 64
    for stage, count in enumerate(blocks, 2):
        inner = 32 * 2 ** (stage - 1)
        for i in range(count):
            letters = not numbered or stage in (2, 5) or i == 0
            block = f"res{stage}{'abcdefghijklmnopqrstuvwxyz'[i] if letters else f'b{i}'}"
            if i == 0:
                conv(f"{block}.branch1", 4 * inner, channels, 1)
            conv(f"{block}.branch2a", inner, channels, 1)
            conv(f"{block}.branch2b", inner, inner, 3)
            conv(f"{block}.branch2c", 4 * inner, inner, 1)
            channels = 4 * inner
    weights["fc.weight"] = torch.randn(classes, channels, device=device)
    weights["fc.bias"] = torch.randn(classes, device=device)
    return weights


def caffe_resnet(weights: Mapping[str, Tensor], frame: Tensor, blocks: list[str]) -> Tensor:
    """Pooled features of frames (N, C, H, W): a ResNet that halves in the first 1×1 convolutions, as Caffe's do."""

    def unit(name: str, x: Tensor, stride: int = 1, pad: int = 0) -> Tensor:
        x = F.conv2d(x, weights[f"{name}.weight"], stride=stride, padding=pad)
        parts = (weights[f"{name}_bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *parts, eps=1e-5)

    x = F.max_pool2d(F.relu(unit("conv1", frame, 2, 3)), 3, 2, ceil_mode=True)
    for block in blocks:
        stride = 2 if block[3] != "2" and block.endswith("a") else 1
        y = F.relu(unit(f"{block}.branch2a", x, stride))
        y = F.relu(unit(f"{block}.branch2b", y, pad=1))
        y = unit(f"{block}.branch2c", y)
        x = F.relu(y + (unit(f"{block}.branch1", x, stride) if f"{block}.branch1.weight" in weights else x))
    return x.mean((2, 3))

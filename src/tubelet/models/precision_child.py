"""The part of the gradient check that may crash: run as ``python -m tubelet.models.precision_child``.

Reads one JSON object on standard input and writes one JSON line per layer on standard output, first that it
begins, then what it found; so the parent knows which layer killed the process. A layer that uses up its processor
time is ended by the system, which needs no clock.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tubelet.models.layers import Conv3d
from tubelet.reporting.text import times

# Multiply-adds up to which a layer is computed in float64, batch included: a few tenths of a second.
FLOAT64_LIMIT = 2_500_000_000

_FORMATS = {"contiguous": torch.contiguous_format, "channels_last_3d": torch.channels_last_3d}
# A NaN where nothing was written is seen at once; a huge number also where NaN would be masked out.
_POISONS = (float("nan"), 3e38)


def main() -> None:
    """Check the layers that standard input describes."""
    request = json.load(sys.stdin)
    torch.set_num_threads(request["threads"])
    for index, layer in enumerate(request["layers"]):
        _say({"begins": index})
        if "layer_cpu_s" in request:
            _limit_processor_time(request["layer_cpu_s"])
        found = check_layer(layer, request["dtype"], _FORMATS[request["memory_format"]], seed=index)
        _say({"ends": index, **found})


def _limit_processor_time(seconds: int) -> None:
    """Let the system end this process after so many further seconds of computing, all threads together."""
    try:
        import resource
    except ImportError:  # not a Unix: the parent's clock is left
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    wanted = math.ceil(used.ru_utime + used.ru_stime) + seconds
    if hard == resource.RLIM_INFINITY or wanted < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (wanted, hard))


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message, allow_nan=False), flush=True)


def check_layer(layer: dict[str, Any], dtype: str, layout: torch.memory_format, seed: int) -> dict[str, Any]:
    """Run one layer as training does and compare it with float64.

    Parameters
    ----------
    layer
        ``kind``, ``settings`` and ``input_shape`` of a `tubelet.models.counts.LayerUse`.
    dtype
        ``"bfloat16"`` (autocast) or ``"float32"``.
    layout
        Memory format of input and weights (5-D ones).
    seed
        Of weights, input and the gradient that comes back.

    Returns
    -------
    dict
        ``method`` and, for each of forward, weight, bias and input, ``relative`` (norm of the difference
        over the norm) and ``largest`` (largest difference over the root mean square), -1 where not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    module = _build(layer)
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator)
    shape = list(layer["input_shape"])
    cropped = _crop(module, shape)
    x = torch.randn(cropped, generator=generator)
    exact = _reference(module, x, torch.float64, generator)
    errors = _compare(_train(module, x, exact[4], dtype, layout), exact)
    if cropped == shape:
        return {"method": "float64", "errors": errors}
    # Too dear in float64: that was a crop with all its frames, channels and taps. The whole is compared with
    # plain float32, whose own kernels the crop tests where float32 is the type in question.
    x = torch.randn(shape, generator=generator)
    plain = _reference(module, x, torch.float32, generator)
    whole = _compare(_train(module, x, plain[4], dtype, layout), plain)
    worse = {part: _worse(errors[part], whole[part]) for part in errors}
    size = times(cropped[3:])
    return {"method": f"float64 on {size} pixels, float32 on all", "errors": worse}


def _build(layer: dict[str, Any]) -> nn.Conv3d | nn.Linear:
    settings = dict(layer["settings"])
    if layer["kind"] == "linear":
        return nn.Linear(**settings)
    kind = Conv3d if settings.pop("ours") else nn.Conv3d
    for key in ("kernel_size", "stride", "dilation", "padding"):
        if isinstance(settings[key], list):
            settings[key] = tuple(settings[key])
    return kind(**settings)


def _crop(module: nn.Conv3d | nn.Linear, shape: list[int]) -> list[int]:
    """The input shape, with fewer rows and columns where float64 would take too long."""
    if isinstance(module, nn.Linear):
        return shape
    outputs = shape[0] * math.prod(size // step for size, step in zip(shape[2:], module.stride, strict=True))
    macs = outputs * module.weight.numel()
    if macs <= FLOAT64_LIMIT:
        return shape
    share = math.sqrt(FLOAT64_LIMIT / macs)
    least = [2 * taps * step for taps, step in zip(module.kernel_size[1:], module.stride[1:], strict=True)]
    sides = [min(full, max(low, int(full * share))) for full, low in zip(shape[3:], least, strict=True)]
    return [*shape[:3], *sides]


# Output, its gradients by weight, bias and input, and the gradient that came from above.
Results = tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]


def _reference(module: nn.Conv3d | nn.Linear, x: Tensor, dtype: torch.dtype, generator: torch.Generator) -> Results:
    weight = module.weight.detach().to(dtype).requires_grad_()
    bias = None if module.bias is None else module.bias.detach().to(dtype).requires_grad_()
    x = x.detach().to(dtype).requires_grad_()
    if isinstance(module, nn.Linear):
        output = F.linear(x, weight, bias)
    else:
        output = F.conv3d(x, weight, bias, module.stride, module.padding, module.dilation, module.groups)
    upstream = torch.randn(output.shape, generator=generator)
    torch.autograd.backward(output, upstream.to(dtype))
    assert weight.grad is not None
    assert x.grad is not None
    return output.detach(), weight.grad, None if bias is None else bias.grad, x.grad, upstream


def _train(
    module: nn.Conv3d | nn.Linear, x: Tensor, upstream: Tensor, dtype: str, layout: torch.memory_format
) -> Results:
    module.zero_grad(set_to_none=True)
    if x.dim() == 5:
        module.weight.data = module.weight.data.contiguous(memory_format=layout)
        x, upstream = x.contiguous(memory_format=layout), upstream.contiguous(memory_format=layout)
    x = x.detach().requires_grad_()
    sizes = [module.weight.numel(), x.numel(), upstream.numel()]
    _poison(sizes)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
        output = module(x)
    _poison(sizes)
    torch.autograd.backward(output, upstream.to(output.dtype))
    assert module.weight.grad is not None
    assert x.grad is not None
    bias = None if module.bias is None else module.bias.grad
    return output.detach(), module.weight.grad, bias, x.grad, upstream


def _poison(sizes: list[int]) -> None:
    """Fill and free blocks of the sizes that the layer will ask for, in both widths."""
    blocks = []
    for size in sizes:
        for poison in _POISONS:
            blocks += [torch.full((size,), poison), torch.full((size,), poison, dtype=torch.bfloat16)]
    blocks.clear()


def _compare(found: Results, exact: Results) -> dict[str, dict[str, float]]:
    parts = ("forward", "weight", "bias", "input")
    return {
        part: _difference(mine, right)
        for part, mine, right in zip(parts, found[:4], exact[:4], strict=True)
        if mine is not None and right is not None
    }


def _difference(found: Tensor, exact: Tensor) -> dict[str, float]:
    exact = exact.double()
    difference = found.double() - exact
    norm = float(exact.norm())
    relative = float(difference.norm()) / norm
    largest = float(difference.abs().max()) * math.sqrt(exact.numel()) / norm
    return {"relative": _finite(relative), "largest": _finite(largest)}


def _finite(value: float) -> float:
    return value if math.isfinite(value) else -1.0


def _worse(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    return {key: -1.0 if min(one[key], other[key]) < 0 else max(one[key], other[key]) for key in one}


if __name__ == "__main__":
    main()

"""What a tensor's values look like: the check that is left where no published hash is known."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

_CHUNK = 1 << 22


@dataclass(frozen=True)
class Statistics:
    """Smallest and largest value, mean and standard deviation of the finite values, and how many are not finite.

    ``minimum``, ``maximum``, ``mean`` and ``std`` are NaN where no value is finite.
    """

    count: int
    minimum: float
    maximum: float
    mean: float
    std: float
    not_finite: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: a number that is not finite becomes None."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }


def describe(tensor: Tensor) -> Statistics | None:
    """Statistics of any real tensor, computed in float64 a few megabytes at a time; None for one without values."""
    if tensor.numel() == 0 or tensor.is_meta:
        return None
    flat = tensor.detach().reshape(-1)
    low, high, total, finite = math.inf, -math.inf, 0.0, 0
    chunks = range(0, flat.numel(), _CHUNK)
    for start in chunks:
        values = _finite(flat[start : start + _CHUNK])
        finite += values.numel()
        if values.numel():
            low, high = min(low, values.min().item()), max(high, values.max().item())
            total += values.sum().item()
    if finite == 0:
        return Statistics(flat.numel(), math.nan, math.nan, math.nan, math.nan, flat.numel())
    mean = total / finite
    squares = sum((_finite(flat[start : start + _CHUNK]) - mean).square().sum().item() for start in chunks)
    return Statistics(flat.numel(), low, high, mean, math.sqrt(squares / finite), flat.numel() - finite)


def _finite(values: Tensor) -> Tensor:
    wide = values.to(torch.float64)
    return wide[torch.isfinite(wide)]

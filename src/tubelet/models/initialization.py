"""Starting weights that depend on the seed and the layer's name, and on nothing else.

Each layer draws from a generator of its own, so neither the global random state, nor the number of classes,
nor the order of construction changes what another layer starts from.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from tubelet.provenance import derive_seed


def layer_generator(seed: int, layer: str) -> torch.Generator:
    """The random generator of one layer's starting weights."""
    return torch.Generator().manual_seed(derive_seed(seed, "initialize", layer))


@torch.no_grad()
def gaussian(layer: nn.Conv3d | nn.Linear, std: float, bias: float, generator: torch.Generator) -> None:
    """Caffe's ``gaussian`` weight filler with mean 0, and its ``constant`` bias filler."""
    layer.weight.normal_(0.0, std, generator=generator)
    if layer.bias is not None:
        layer.bias.fill_(bias)


@torch.no_grad()
def xavier(layer: nn.Conv3d | nn.Linear, bias: float, generator: torch.Generator) -> None:
    """Caffe's ``xavier`` weight filler: uniform with variance 1/fan-in, and its ``constant`` bias filler."""
    limit = math.sqrt(3.0 / math.prod(layer.weight.shape[1:]))
    layer.weight.uniform_(-limit, limit, generator=generator)
    if layer.bias is not None:
        layer.bias.fill_(bias)


@torch.no_grad()
def uniform(layer: nn.Module, limit: float, generator: torch.Generator) -> None:
    """All weights and biases uniform between ``-limit`` and ``limit``."""
    for parameter in layer.parameters():
        parameter.uniform_(-limit, limit, generator=generator)


@torch.no_grad()
def he(layer: nn.Conv3d | nn.Linear, generator: torch.Generator, *, fan: str) -> None:
    """He et al. 2015 (Caffe's ``msra``): gaussian with variance 2/fan, biases 0.

    Parameters
    ----------
    fan
        ``"in"``: inputs of one output, which keeps the size of activations; ``"out"``: outputs of one
        input, which keeps that of gradients.
    """
    channels = layer.weight.shape[1] if fan == "in" else layer.weight.shape[0]
    taps = math.prod(layer.weight.shape[2:])
    gaussian(layer, math.sqrt(2.0 / (channels * taps)), 0.0, generator)

"""Networks for tests of values: drawn weights and statistics, so that no layer is an identity, a zero or a dead end."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from tubelet.models.layers import Lstm

_Net = TypeVar("_Net", bound=nn.Module)


def lively(model: _Net, seed: int = 0, *, shift: float = 0.1, norms_only: bool = False) -> _Net:
    """Draw a network's values in place, and put it into evaluation mode.

    Published starting weights are made for the published width: in a narrow network the logits would hardly depend on
    the clip, and any two implementations would agree.

    Parameters
    ----------
    shift
        Standard deviation of biases and running means.
    norms_only
        Leave convolutions, fully connected layers and LSTMs at their starting weights.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.running_mean.normal_(0, shift, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, shift, generator=generator)
            elif norms_only:
                continue
            elif isinstance(module, nn.Conv3d | nn.Linear):
                module.weight.normal_(0, (2 / module.weight[0].numel()) ** 0.5, generator=generator)
                if module.bias is not None:
                    module.bias.normal_(0, shift, generator=generator)
            elif isinstance(module, Lstm):
                # A stack of these forgets its input unless its gates move.
                for parameter in module.parameters():
                    parameter.normal_(0, 2 * parameter.shape[-1] ** -0.5, generator=generator)
    return model.eval()

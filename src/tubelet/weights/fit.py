"""One network's weights matched with another network's tensors by their names, and brought into their shapes.

What is done where shapes differ is the caller's rule: `tubelet.weights.inflate` for frames and clips,
`tubelet.weights.first_layer` for colors and motion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from tubelet.errors import InputDataError
from tubelet.models.contract import VideoModel
from tubelet.models.tensors import TYPE_CODES
from tubelet.weights.foreign import ForeignTensor
from tubelet.weights.ledger import Ledger, Make
from tubelet.weights.report import NetworkSource, WeightsReport
from tubelet.weights.statistics import describe
from tubelet.weights.transforms import FRAME_AXIS, cast, transform

ShapeRule = Callable[[str, Tensor, Tensor], tuple[Tensor, str] | None]
"""(name, kernel, the network's kernel) → the kernel that fits and what was done to it, or None: it does not fit."""


def fitted(
    weights: Mapping[str, Tensor],
    model: VideoModel,
    method: str,
    rule: ShapeRule,
    strict: bool,
    *,
    place: Callable[[str], str] = str,
    fresh: Callable[[str], str | None] = lambda name: None,
    notes: tuple[str, ...] = (),
) -> tuple[dict[str, Tensor], WeightsReport]:
    """The state dict that a network gets from the weights of another one.

    Kernels (out, in, k, k) get a time axis of one frame; numbers of another width are cast. A classifier for another
    number of classes is left out, and the network's own stays.

    Parameters
    ----------
    weights
        State dict of the other network.
    model
        The network; it is not changed. It may be on ``meta``.
    method, notes
        For the report.
    rule
        Transforms a convolution's kernel that does not have the network's shape.
    strict
        Refuse weights that lack tensors besides the classifier, or have some that the network has not. Otherwise these
        are reported.
    place
        Name → what it must have in common with its counterpart's name.
    fresh
        Why a tensor of the network may be missing from the weights; None: it may not.

    Returns
    -------
    dict
        New tensors under all names of ``model.state_dict()``, in its types; what is missing is the network's own.
    WeightsReport
        What became of every tensor.

    Raises
    ------
    InputDataError
        If a tensor does not fit, holds values that are not finite, or one is missing or superfluous; the sentence
        names the first five.
    """
    own, sources = model.state_dict(), _sources(weights, place)
    kernels = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Conv3d)}
    ledger = Ledger({name: _held(name, tensor) for name, tensor in weights.items()}, own)
    for name, wanted in own.items():
        source = sources.pop(place(name), None)
        head = name.startswith(f"{model.head_name}.")
        if source is None:
            optional = head or not strict or name.endswith("num_batches_tracked")
            if why := fresh(name) or ("not in the weights: the network's own stays" if optional else None):
                ledger.keep(name, why)
        elif head and weights[source].dim() and weights[source].shape[0] != wanted.shape[0]:
            why = f"{weights[source].shape[0]} classes instead of {wanted.shape[0]}: the network's own stays"
            ledger.refuse(source, why, wanted=True)
            ledger.keep(name, why)
        else:
            ledger.fill(source, name, _brought(name, wanted, rule if name in kernels else None))
    for source in sources.values():
        ledger.refuse(source, "it is not in the network", wanted=not strict)
    report = ledger.report(NetworkSource(), model.name, method, notes)
    report.check()
    return {
        name: _own(tensor) if name not in ledger.values else ledger.values[name] for name, tensor in own.items()
    }, report


def _brought(name: str, wanted: Tensor, rule: ShapeRule | None) -> Make:
    """How a tensor becomes ``wanted``; ``rule`` is for kernels."""

    def make(given: Tensor) -> tuple[Tensor, list[str]]:
        steps: list[str] = []
        if rule is not None and given.dim() == 4:
            given = transform(given, (FRAME_AXIS,))
            steps.append(FRAME_AXIS)
        # Cast first, so that the rule computes in the network's type.
        given, casts = cast(given, wanted.dtype)
        steps += casts
        if rule is not None and given.shape != wanted.shape and (changed := rule(name, given, wanted)):
            given = changed[0]
            steps.append(changed[1])
        return given, steps

    return make


def _sources(weights: Mapping[str, Tensor], place: Callable[[str], str]) -> dict[str, str]:
    """Place → name of all weights."""
    sources: dict[str, str] = {}
    for name, tensor in weights.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise InputDataError(f"the weights hold no tensor under {name!r}", remedy="give a state dict")
        other = sources.setdefault(place(name), name)
        if other != name:
            raise InputDataError(f"the weights call one layer both {other} and {name}", remedy="leave one of them out")
    return sources


def _held(name: str, tensor: Tensor) -> ForeignTensor:
    code = TYPE_CODES.get(tensor.dtype, str(tensor.dtype))
    return ForeignTensor(name, code, tuple(tensor.shape), describe(tensor), read=lambda: _own(tensor))


def _own(tensor: Tensor) -> Tensor:
    return tensor.detach().clone(memory_format=torch.contiguous_format)

"""From 2-D to 3-D: the weights of a network that sees single frames become the start of one that sees clips.

A kernel of one frame is repeated d times along time and divided by d, so its sum over time stays what it was: where
nothing moves, and away from the padding at the clip's ends, the 3-D network gives what the 2-D network gave. Biases,
norms and fully connected layers are copied. Networks whose layers have the same names correspond: ``r2d_18`` →
``res3d_18``, ``sr18``, ``mc2_18``, …; ``densenet_121`` → ``densenet3d_121``; ``c3d_depth1`` → ``c3d_depth3``.

Pseudo-3D networks start from a ResNet of as many layers (Qiu et al. 2017): their 1×3×3 and 1×1×1 convolutions take its
kernels as they are, their 3×1×1 convolutions keep their starting values. Blocks are found by their place, whether they
are called res4b, res4c (`tubelet.models.resnet`) or res4b1, res4b2 (Caffe's ResNet-101 and -152).

Every tensor of either side is in the report: used, transformed (how), missing or superfluous (why).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import Any, Literal

import torch
from torch import Tensor, nn

from tubelet.errors import InputDataError, UsageError
from tubelet.models.contract import VideoModel
from tubelet.models.p3d import P3D
from tubelet.provenance import environment

_log = logging.getLogger(__name__)

_SHOWN = 5
_STATUSES = ("used", "transformed", "missing", "superfluous")
_P3D_NOTE = (
    "res3a, res4a and res5a of P3D halve rows and columns in branch2a, as Caffe's ResNets do, and pool1 is not padded; "
    "weights trained with that stride in branch2b and a padded pool1 (torchvision's, tsn_resnet50's) meet other pixels"
)

Status = Literal["used", "transformed", "missing", "superfluous"]
Rule = Callable[[str, Tensor, Tensor], tuple[Tensor, str] | None]
"""(name, tensor, the network's tensor) → the tensor that fits and what was done to it, or None: it does not fit."""


@dataclass(frozen=True)
class TensorUse:
    """What became of one tensor.

    Attributes
    ----------
    name
        In the network; of a superfluous tensor, in the weights.
    status
        ``"used"`` as it is, ``"transformed"``, ``"missing"`` from the weights (the network keeps its own), or
        ``"superfluous"`` in them.
    how
        What was done to it, or why it is missing or superfluous.
    source
        Its name in the weights; None where it is missing.
    """

    name: str
    status: Status
    how: str
    source: str | None


@dataclass(frozen=True)
class TransferReport:
    """What became of every tensor of the weights and of the network.

    Attributes
    ----------
    method
        What was done on the whole.
    tensors
        In the network's order, then the superfluous ones.
    notes
        What the weights themselves do not tell and their user should know.
    """

    method: str
    tensors: tuple[TensorUse, ...]
    notes: tuple[str, ...] = ()

    def names(self, status: Status) -> list[str]:
        """Names of all tensors with this status."""
        return [tensor.name for tensor in self.tensors if tensor.status == status]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: method, notes, and status → what was done → names."""
        table: dict[str, dict[str, list[str]]] = {status: {} for status in _STATUSES}
        for tensor in self.tensors:
            table[tensor.status].setdefault(tensor.how, []).append(tensor.name)
        return {"method": self.method, "notes": list(self.notes), **table}

    def __str__(self) -> str:
        counts = ", ".join(f"{len(self.names(status))} {status}" for status in _STATUSES)  # type: ignore[arg-type]
        lines = [f"{self.method}: {counts}"]
        for status, table in list(self.to_dict().items())[2:]:
            lines += [f"  {status}, {how}: {', '.join(names)}" for how, names in table.items()]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


Transform = Callable[[Mapping[str, Tensor], VideoModel], tuple[dict[str, Tensor], TransferReport]]
"""`inflated`, `tubelet.weights.first_layer.across_modalities`, or either with options."""


def inflated(
    weights: Mapping[str, Tensor], model: VideoModel, *, strict: bool = True
) -> tuple[dict[str, Tensor], TransferReport]:
    """The state dict that ``model`` gets from the weights of a 2-D network.

    Parameters
    ----------
    weights
        State dict with kernels (out, in, 1, k, k) or (out, in, k, k). Where they lack the classifier, or it has another
        number of classes, the network's own stays.
    model
        The 3-D network; it is not changed.
    strict
        Refuse weights that lack other tensors, or have some that the network has not. Otherwise these are reported.

    Returns
    -------
    dict
        New tensors under all names of ``model.state_dict()``, in its types; what is missing is the network's own.
    TransferReport
        What became of every tensor.

    Raises
    ------
    InputDataError
        If a tensor does not fit, or one is missing or superfluous; the sentence names the first five.
    """
    if isinstance(model, P3D):
        found, report = fitted(
            weights, model, "2-D weights in a pseudo-3D network", _in_time, strict, place=_place, fresh=_temporal
        )
        return found, replace(report, notes=(_P3D_NOTE,))
    return fitted(weights, model, "mean-preserving inflation", _in_time, strict)


def _in_time(name: str, kernel: Tensor, wanted: Tensor) -> tuple[Tensor, str] | None:
    if kernel.dim() != 5 or kernel.shape != (*wanted.shape[:2], 1, *wanted.shape[3:]):
        return None
    depth = wanted.shape[2]
    return kernel.repeat(1, 1, depth, 1, 1) / depth, f"repeated {depth} times along time and divided by {depth}"


def _place(name: str) -> str:
    # res4b7 and res4h are the same block of ResNet-101; TSN calls its classifier fc_action.
    block = re.fullmatch(r"(res\d)(?:b(\d+)|([a-z]))(\..+)", name)
    if block is None:
        return re.sub(r"^fc_action\.", "fc.", name)
    stage, number, letter, rest = block.groups()
    return f"{stage}[{number or ascii_lowercase.index(letter)}]{rest}"


def _temporal(name: str) -> str | None:
    return "a temporal convolution starts at random, as in the paper" if ".branch2b_t" in name else None


def fitted(
    weights: Mapping[str, Tensor],
    model: VideoModel,
    method: str,
    rule: Rule,
    strict: bool,
    *,
    place: Callable[[str], str] = str,
    fresh: Callable[[str], str | None] = lambda name: None,
) -> tuple[dict[str, Tensor], TransferReport]:
    """Match weights with a network's tensors by name: what `inflated` and ``across_modalities`` have in common.

    Parameters
    ----------
    weights, model, strict
        As for `inflated`.
    method
        For the report.
    rule
        Transforms a convolution's kernel that does not have the network's shape.
    place
        Name → what it must have in common with its counterpart's name.
    fresh
        Why a tensor of the network may be missing from the weights; None: it may not.
    """
    own, sources = model.state_dict(), _sources(weights, place)
    kernels = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Conv3d)}
    result: dict[str, Tensor] = {}
    uses: list[TensorUse] = []
    wrong: list[str] = []
    for name, wanted in own.items():
        source = sources.pop(place(name), None)
        head = name.startswith(f"{model.head_name}.")
        result[name] = wanted.detach().clone()
        if source is None:
            why = fresh(name)
            if why is None:
                why = "not in the weights: the network's own stays"
                if strict and not head and not name.endswith("num_batches_tracked"):
                    wrong.append(f"{name} is missing")
            uses.append(TensorUse(name, "missing", why, None))
            continue
        given, steps = weights[source].detach(), list[str]()
        if name in kernels and given.dim() == 4:
            given = given.unsqueeze(2)
            steps.append("given a time axis of one frame")
        if given.dtype != wanted.dtype and given.is_floating_point() == wanted.is_floating_point():
            steps.append(f"{_type(given)} to {_type(wanted)}")
            given = given.to(wanted.dtype)
        sound = given.dtype == wanted.dtype
        if sound and name in kernels and given.shape != wanted.shape and (changed := rule(name, given, wanted)):
            given = changed[0]
            steps.append(changed[1])
        if sound and given.shape == wanted.shape:
            result[name] = given.clone(memory_format=torch.contiguous_format)
            how = "; ".join(steps) or "as it is"
            uses.append(TensorUse(name, "transformed" if steps else "used", how, source))
        elif head and given.dim() and given.shape[0] != wanted.shape[0]:
            why = f"{given.shape[0]} classes instead of {wanted.shape[0]}: the network's own stays"
            uses += [TensorUse(name, "missing", why, None), TensorUse(source, "superfluous", why, source)]
        else:
            wrong.append(f"{source} is {_type(given)} {_shape(given)} instead of {_type(wanted)} {_shape(wanted)}")
    uses += [TensorUse(name, "superfluous", "not in the network", name) for name in sources.values()]
    if strict:
        wrong += [f"{name} is not in the network" for name in sources.values()]
    if wrong:
        more = len(wrong) - _SHOWN
        raise InputDataError(
            f"the weights do not fit {model.name}",
            why="; ".join(wrong[:_SHOWN]) + (f"; and {more} more" if more > 0 else ""),
            remedy="build the network with the options of the one that the weights are from",
        )
    uses.sort(key=lambda use: use.status == "superfluous")
    return result, TransferReport(method, tuple(uses))


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


@torch.no_grad()
def start_from(
    model: VideoModel,
    source: VideoModel | Mapping[str, Tensor],
    transform: Transform = inflated,
    *,
    weights_id: str | None = None,
) -> TransferReport:
    """Fill a network in place with the transformed weights of another one, and let it remember whose they are.

    ``model.provenance`` says under ``started_from`` what was taken from which weights, and under ``trained_on`` what
    those have seen, so that a protocol still knows its own test groups. Class names come along with the classifier.

    Parameters
    ----------
    model
        The network to fill.
    source
        A network, or a state dict. What the two networks do differently with the same weights (strides, paddings, ε,
        recipes) is among the report's notes; a state dict does not tell.
    transform
        `inflated` or ``across_modalities``.
    weights_id
        What a state dict is called, its file's SHA-256 for example.

    Raises
    ------
    InputDataError
        If the weights do not fit; the network is then as it was.
    UsageError
        If a state dict comes without ``weights_id``.
    """
    network = source if isinstance(source, VideoModel) else None
    if network is None and not weights_id:
        raise UsageError(
            "the weights have no name", remedy="say whose they are: weights_id=, such as the file's SHA-256"
        )
    found, report = transform(network.state_dict() if network else source, model)  # type: ignore[arg-type]
    if network is not None:
        report = replace(report, notes=(*report.notes, *_differences(network, model, report)))
    for name, tensor in model.state_dict().items():
        tensor.copy_(found[name])
    if model.head_name not in {name.rpartition(".")[0] for name in report.names("missing")}:
        model.labels = network.labels if network else None
    history = _joined(((network and network.provenance) or {}).get("trained_on"), model, report)
    model.provenance = {
        "environment": environment(),
        "started_from": {
            "model": network and network.name,
            "options": network and network.options,
            "weights_id": weights_id or (network and network.weights_id),
            **report.to_dict(),
        },
        **({} if history is None else {"trained_on": history}),
    }
    if report.names("missing"):
        _log.warning("%s keeps starting values of its own: %s", model.name, str(report).partition("\n")[0])
    return report


def _joined(history: dict[str, Any] | None, model: VideoModel, report: TransferReport) -> dict[str, Any] | None:
    # A network that keeps tensors of its own also keeps what it had been trained on before.
    own = (model.provenance or {}).get("trained_on") if report.names("missing") else None
    if history is None:
        return own
    return {
        **history,
        **({} if (before := _joined(history.get("before"), model, report)) is None else {"before": before}),
    }


def _differences(source: VideoModel, model: VideoModel, report: TransferReport) -> list[str]:
    """What two networks do differently with the same weights, a sentence each."""
    found: dict[str, list[str]] = {}
    for use in report.tensors:
        if use.source is None or use.status == "superfluous" or not use.name.endswith(".weight"):
            continue
        layer = use.name.removesuffix(".weight")
        one, other = source.get_submodule(use.source.removesuffix(".weight")), model.get_submodule(layer)
        facts: list[tuple[str, Any, Any]] = []
        if isinstance(one, nn.Conv3d) and isinstance(other, nn.Conv3d):
            facts = [("stride", one.stride[1:], other.stride[1:]), ("padding", one.padding[1:], other.padding[1:])]
        elif isinstance(one, nn.BatchNorm3d) and isinstance(other, nn.BatchNorm3d):
            facts = [("ε", one.eps, other.eps)]
        for fact, there, here in facts:
            if there != here:
                found.setdefault(f"{fact} is {here} and was {there} in {source.name}", []).append(layer)
    notes = [f"{what}: {', '.join(layers)}" for what, layers in found.items()]
    recipes = [net.recipe.name if net.recipe else net.input.recipe for net in (source, model)]
    if recipes[0] != recipes[1]:
        notes.append(f"clips are made by the recipe {recipes[1]} and were made by {recipes[0]} in {source.name}")
    return notes


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "scalar"


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")

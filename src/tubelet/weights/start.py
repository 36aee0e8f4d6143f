"""A network filled in place from another one's weights, which remembers whose they are and how the two differ."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tubelet.errors import UsageError
from tubelet.models.contract import VideoModel
from tubelet.provenance import environment
from tubelet.reporting.text import first_few
from tubelet.weights.inflate import inflated
from tubelet.weights.report import NetworkSource, WeightsReport

_log = logging.getLogger(__name__)

_SHOWN = 5

Transform = Callable[[Mapping[str, Tensor], VideoModel], tuple[dict[str, Tensor], WeightsReport]]
"""`tubelet.weights.inflated`, `tubelet.weights.across_modalities`, or either with options."""


@torch.no_grad()
def start_from(
    model: VideoModel,
    source: VideoModel | Mapping[str, Tensor],
    transform: Transform = inflated,
    *,
    weights_id: str | None = None,
) -> WeightsReport:
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
    if network is None:
        report = replace(report, source=NetworkSource(weights_id=weights_id))
    else:
        origin = NetworkSource(network.name, network.options, weights_id or network.weights_id)
        report = replace(report, source=origin, notes=(*report.notes, *_differences(network, model, report)))
    for name, tensor in model.state_dict().items():
        tensor.copy_(found[name])
    missing = report.names("missing")
    if model.head_name not in {name.rpartition(".")[0] for name in missing}:
        model.labels = network.labels if network else None
    history = _joined(((network and network.provenance) or {}).get("trained_on"), model, missing)
    model.provenance = {
        "environment": environment(),
        "started_from": report.summary(),
        **({} if history is None else {"trained_on": history}),
    }
    if missing:
        _log.warning("%s keeps starting values of its own: %s", model.name, first_few(missing, shown=_SHOWN))
    return report


def _joined(history: dict[str, Any] | None, model: VideoModel, missing: list[str]) -> dict[str, Any] | None:
    # A network that keeps tensors of its own also keeps what it had been trained on before.
    own = (model.provenance or {}).get("trained_on") if missing else None
    if history is None:
        return own
    return {
        **history,
        **({} if (before := _joined(history.get("before"), model, missing)) is None else {"before": before}),
    }


def _differences(source: VideoModel, model: VideoModel, report: WeightsReport) -> list[str]:
    """What two networks do differently with the same weights, a sentence each."""
    found: dict[str, list[str]] = {}
    origins = {line.name: line.detail for line in report.model_tensors if line.outcome == "filled"}
    for name, origin in origins.items():
        if not name.endswith(".weight"):
            continue
        layer = name.removesuffix(".weight")
        one, other = source.get_submodule(origin.removesuffix(".weight")), model.get_submodule(layer)
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

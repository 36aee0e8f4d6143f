"""How runs were made, as the methods paragraph of a paper, from what they left of their settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tubelet.protocols.results_table import listed
from tubelet.protocols.results_words import plain
from tubelet.protocols.runs import Run
from tubelet.protocols.systems import System
from tubelet.reporting.text import times


def methods(run: Run) -> str:
    """How a run was made, as a paper's paragraph; from its settings."""
    told = []
    by_settings: dict[str, list[System]] = {}
    for system in run.systems:
        by_settings.setdefault(_training_words(system), []).append(system)
    for words, systems in by_settings.items():
        if not words:
            continue
        names = listed([system.name for system in systems])
        told.append(f"**{plain(names)}**: {plain(words)}.")
    split = next(filter(None, (_split_words(system) for system in run.systems)), "")
    if split:
        told.append(plain(split))
    return " ".join(told)


def _training_words(system: System) -> str:
    """One system's network, training and test."""
    result, settings = system.result, system.result.settings
    if system.made_of:
        return f"the weighted sum {system.fused_as}" if system.fused_as else f"made of {listed(system.made_of)}"
    plan: Mapping[str, Any] = settings
    for each in result.provenance.get("experiment", {}).get("streams", []):
        if each.get("name") == result.protocol:
            plan = each
    if "tables" in settings:
        tables = [
            f"{each.get('layer') or 'vectors'} of {each.get('model') or each['name']}" for each in settings["tables"]
        ]
        fitted = [f"C = {settings.get('svm_c', 1):g}"]
        fitted += ["z-scored"] if settings.get("zscore") else []
        fitted += [f"{settings['pca']} principal components"] if settings.get("pca") else []
        return f"a linear SVM ({', '.join(fitted)}) on {listed(tables)}, each scaled to length one"
    parts = [_network_words(system, plan)]
    train = plan.get("train")
    if isinstance(train, Mapping):
        parts.append(_schedule_words(plan, train))
    views = plan.get("views")
    if isinstance(views, Mapping):
        parts.append(f"tested over the views {views.get('name')}")
    elif isinstance(views, str):
        parts.append(f"tested over {views} views")
    if result.protocol.startswith("linear SVM on") and "stride_frames" in plan:
        layer = result.protocol.removeprefix("linear SVM on ").partition(",")[0]
        parts.append(
            f"described by {layer} every {plan['stride_frames']} frames, clips averaged and scaled to length one, "
            f"then a linear SVM with C = {plan.get('svm_c', 1):g}"
        )
    return "; ".join(filter(None, parts))


def _network_words(system: System, plan: Mapping[str, Any]) -> str:
    if not system.networks:
        return ""
    network = system.networks[0]
    options = {key: value for key, value in dict(plan.get("options") or network.options).items() if value is not None}
    said = f" ({', '.join(f'{key} {value}' for key, value in sorted(options.items()))})" if options else ""
    shape = f" on {times(network.input)} inputs" if network.input else ""
    recipe = plan.get("recipe")
    name = recipe.get("name") if isinstance(recipe, Mapping) else recipe
    return f"{network.model}{said}{shape}" + (f", preprocessed as {name}" if name else "")


def _schedule_words(plan: Mapping[str, Any], train: Mapping[str, Any]) -> str:
    start = plan.get("weights")
    if start in (None, "none"):
        begun = "trained from scratch"
    else:
        begun = "fine-tuned" if start == "required" else f"fine-tuned from {start}"
    schedule = f" ({train['schedule']})" if "schedule" in train else ""
    return (
        f"{begun} for {train.get('iterations')} steps of {train.get('batch_size')} clips with "
        f"{train.get('optimizer')}, learning rate {train.get('learning_rate', 0):g}{schedule}"
    )


def _split_words(system: System) -> str:
    """How training and test videos were kept apart."""
    result = system.result
    dataset = result.provenance.get("dataset") or {}
    rule = dataset.get("group_rule")
    groups = f", groups by {rule}" if rule and "groups" in dataset else ""
    folds = result.settings.get("folds")
    protocol = result.settings.get("protocol")
    if isinstance(protocol, str):
        return f"Training and test: {protocol}{groups}."
    if folds == "groups":
        return f"Training and test: each group is left out once, {dataset.get('groups')} folds{groups}."
    if isinstance(folds, (int, str)):
        return f"Training and test: {folds} folds of whole groups{groups}."
    if isinstance(folds, list):
        return f"Training and test: {len(folds)} fold{'s' * (len(folds) != 1)}{groups}."
    return ""

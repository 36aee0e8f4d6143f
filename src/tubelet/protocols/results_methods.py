"""How runs were made, as the methods paragraph of a paper, from what they left of their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tubelet.baselines.idt.encoding import Encoding, learned_from
from tubelet.descriptors.video_vectors import ENCODING
from tubelet.errors import TubeletError
from tubelet.models.registry import model_info
from tubelet.protocols.results_table import Sources, listed
from tubelet.protocols.results_words import plain
from tubelet.protocols.runs import Run, option_of
from tubelet.protocols.systems import System
from tubelet.reporting.text import times

_IDT = "improved dense trajectories"
_IDT_PAPER = "H. Wang, C. Schmid (2013). Action recognition with improved trajectories. ICCV"


def methods(run: Run, sources: Sources | None = None) -> str:
    """How a run was made, in paragraphs, from its settings; papers of its networks join ``sources``."""
    told = []
    by_settings: dict[str, list[System]] = {}
    for system in run.systems:
        by_settings.setdefault(_training_words(system, sources), []).append(system)
    for words, systems in by_settings.items():
        if not words:
            continue
        names = listed([system.name for system in systems])
        told.append(f"**{plain(names)}.** {words[:1].upper()}{words[1:]}.")
    split = next(filter(None, (_split_words(system) for system in run.systems)), "")
    if split:
        told.append(plain(split))
    return "\n\n".join(told)


def _training_words(system: System, sources: Sources | None) -> str:
    """One system's network, training and test."""
    result, settings = system.result, system.result.settings
    if system.made_of:
        return plain(f"the sum {system.fused_as}")
    if "svm" in settings and "layers" in settings:
        return _svm_words(system, sources)
    plan: Mapping[str, Any] = settings
    for each in result.provenance.get("experiment", {}).get("streams", []):
        if each.get("name") == result.protocol:
            plan = each
    if "tables" in settings:
        tables = [_table_words(each) for each in settings["tables"]]
        return f"{_fitted_words(settings)} on {plain(listed(tables))}, each scaled to length one"
    parts = [_network_words(system, plan, sources)]
    train = plan.get("train")
    if isinstance(train, Mapping):
        parts.append(_schedule_words(plan, train))
    views = plan.get("views")
    if isinstance(views, Mapping):
        parts.append(f"tested over {plain(str(views.get('name')))} views")
    elif isinstance(views, str):
        parts.append(f"tested over {plain(views)} views")
    if result.protocol.startswith("linear SVM on") and "stride_frames" in plan:
        layer = result.protocol.removeprefix("linear SVM on ").partition(",")[0]
        parts.append(
            f"described by {plain(layer)} every {plan['stride_frames']} frames, clips averaged, length one, then a "
            f"linear SVM with C = {plan.get('svm_c', 1):g}"
        )
    return "; ".join(filter(None, parts))


def _fitted_words(settings: Mapping[str, Any]) -> str:
    fitted = [f"C = {settings.get('svm_c', 1):g}"]
    fitted += ["z-scored"] if settings.get("zscore") else []
    fitted += [f"{settings['pca']} principal components"] if settings.get("pca") else []
    fitted += ["eight bits a number"] if settings.get("bits") == "int8" else []
    return f"a linear SVM ({', '.join(fitted)})"


def _table_words(table: Mapping[str, Any]) -> str:
    """What stands side by side in ``evaluate descriptors``."""
    if ENCODING in table:
        return f"dense trajectories ({learned_from(table[ENCODING])})"
    return f"{table.get('layer') or 'vectors'} of {table.get('model') or table['name']}"


def _svm_words(system: System, sources: Sources | None) -> str:
    """An SVM's row of ``evaluate streams``: what it reads, how it was fitted, and where the networks are from."""
    result, settings = system.result, system.result.settings
    plan: Mapping[str, Any] = result.provenance.get("experiment") or {}
    streams = {each["name"]: each for each in plan.get("streams", ())}
    features = {each["name"]: each for each in plan.get("features", ())}
    encodings = {each["name"]: Encoding.of(each["encoding"]) for each in plan.get("trajectories", ())}
    rows = {name: [name] for name in (*features, *encodings)}
    rows |= {f"{name} {each['svm']} + SVM": [name] for name, each in streams.items() if each.get("svm")}
    rows |= {each["name"]: list(each["of"]) for each in plan.get("combinations", ())}
    of = rows.get(result.protocol, [])
    models = [one.model for one in system.networks]
    if of:
        models = [_IDT if name in encodings else {**streams, **features}[name]["model"] for name in of]
    layers = [str(layer) for layer in settings["layers"]]
    if len(models) != len(layers):
        reads = listed([plain(layer) for layer in layers])
    else:
        said = [f"{encodings[name].words} a channel" if name in encodings else plain(layer)
                for name, layer in zip(of or layers, layers, strict=True)]  # fmt: skip
        pairs = zip(said, models, strict=True)
        reads = listed([f"{what} of {plain(model)}{_cited(model, sources)}" for what, model in pairs])
    averaged = "" if of and all(name in encodings for name in of) else "clips averaged, "
    beside = ", side by side" if len(layers) > 1 else ""
    numbers = f", {settings['numbers']:,} numbers" if "numbers" in settings else ""
    where = "the training videos" if settings.get("folds") is None else "each fold's training videos"
    parts = [
        f"{reads}, {averaged}length one{beside}{numbers}",
        f"{_fitted_words(settings['svm'])} fitted on {where}",
    ]
    trained = [plain(name) for name in of if name in streams]
    if trained:
        parts.append(f"{listed(trained)} trained as in {'its own row' if len(trained) == 1 else 'their own rows'}")
    learned = [plain(name) for name in of if name in encodings]
    if learned:
        parts.append(f"{listed(learned)} learned from {where}")
    parts += [_frozen_words(features[name], result.provenance.get("command", ())) for name in of if name in features]
    return "; ".join(parts)


def _frozen_words(feature: Mapping[str, Any], command: Sequence[str]) -> str:
    """A network that learned nothing here, and whose weights it has."""
    weights = feature.get("weights", "required")
    if weights == "required":
        given = option_of([str(word) for word in command], "--weights")
        weights = "those that were given" if given is None else Path(given).name
    return plain(f"{feature['name']} frozen, weights: {weights}")


def _network_words(system: System, plan: Mapping[str, Any], sources: Sources | None) -> str:
    if not system.networks:
        return ""
    network = system.networks[0]
    options = {key: value for key, value in dict(plan.get("options") or network.options).items() if value is not None}
    said = plain(f" ({', '.join(f'{key} {value}' for key, value in sorted(options.items()))})") if options else ""
    shape = f" on {times(network.input)} inputs" if network.input else ""
    recipe = plan.get("recipe")
    name = recipe.get("name") if isinstance(recipe, Mapping) else recipe
    cited = _cited(network.model, sources)
    return f"network {plain(network.model)}{cited}{said}{shape}" + (plain(f", preprocessed as {name}") if name else "")


def _cited(model: str, sources: Sources | None) -> str:
    """The number of a network's paper; empty where this version does not know the network."""
    if sources is None:
        return ""
    if model == _IDT:
        number = sources.number(_IDT_PAPER)
        return f" [[{number}](#ref-{number})]"
    try:
        paper = model_info(model).paper
    except TubeletError:
        return ""
    number = sources.number(f"{paper.authors} ({paper.year}). {paper.title}. [{paper.url}]({paper.url})")
    return f" [[{number}](#ref-{number})]"


def _schedule_words(plan: Mapping[str, Any], train: Mapping[str, Any]) -> str:
    start = plan.get("weights")
    if start in (None, "none"):
        begun = "trained from scratch"
    else:
        begun = "fine-tuned" if start == "required" else f"fine-tuned from {plain(str(start))}"
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
    groups = f"; groups are {rule}" if rule and "groups" in dataset else ""
    folds = result.settings.get("folds")
    protocol = result.settings.get("protocol")
    if isinstance(protocol, str):
        return f"Training and test: {protocol}{groups}."
    if folds == "groups":
        return f"Training and test: each group is left out once, {dataset.get('groups')} folds{groups}."
    if isinstance(folds, int) and "fold_seed" in result.settings:
        return f"Training and test: {folds} folds of whole groups{groups}."
    if isinstance(folds, (int, str)):
        return f"Training and test: {folds} {'parts' if isinstance(folds, str) else 'folds'}{groups}."
    if isinstance(folds, list):
        return f"Training and test: {len(folds)} fold{'s' * (len(folds) != 1)}{groups}."
    return ""

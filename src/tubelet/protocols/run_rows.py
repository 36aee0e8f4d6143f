"""The rows of a run: each Result in its file, with its networks, the seeds of one put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tubelet.protocols.result import Result
from tubelet.protocols.split_mean import read_results
from tubelet.protocols.systems import Network, Split, System, network_of, system_of

SEEDS = "seeds"
"""Under this key a file has the same Results for each of several seeds."""

Found = tuple[tuple[str, ...], dict[str, Any], Result]


def systems_of(folder: Path, run: str, found: Sequence[Found]) -> list[System]:
    """A row for each Result, the seeds of one put together, and the splits below a mean read from their folders."""
    heads: dict[tuple[str, ...], list[Found]] = {}
    for keys, fields, result in found:
        head = keys[2:] if keys[:1] == (SEEDS,) else keys
        heads.setdefault(head, []).append((keys, fields, result))
    systems = []
    for head, members in heads.items():
        fields, first = members[0][1], members[0][2]
        results: tuple[Result, ...] = tuple(result for _, _, result in members)
        splits, mean = _splits(folder, head, first, results)
        more = {**_fused(fields, head, first), "facts": _facts(fields)}
        systems.append(system_of(run, splits, _networks(fields, first), mean, **more))
    return _told_apart(systems)


def _splits(folder: Path, head: Sequence[str], first: Result, results: Split) -> tuple[list[Split], Result | None]:
    """Of a mean over splits: each split's Results, as far as their folders are there, and the mean itself."""
    numbers = first.settings.get("splits")
    if not head or head[0] != "means" or not isinstance(numbers, dict):
        return [results], None
    found = []
    for number in numbers:
        place = folder / f"split{number}"
        heads = read_results(place) if place.is_dir() else []
        if int(head[1]) < len(heads):
            found.append(tuple(heads[int(head[1])]))
    return (found if len(found) == len(numbers) else [results]), first


def _networks(fields: Mapping[str, Any], result: Result) -> list[Network]:
    """The networks of a Result, by what the protocols leave in settings, provenance and beside its fields."""
    settings, classes = result.settings, len(result.classes)
    if "parameters" in fields and "macs" in fields:  # a stream
        plans = result.provenance.get("experiment", {}).get("streams", [])
        plan: dict[str, Any] = next((each for each in plans if each.get("name") == result.protocol), {})
        shape = tuple(int(size) for size in fields.get("input", ())) or None
        model = str(plan.get("model", result.protocol))
        return [Network(model, plan.get("options", {}), int(fields["parameters"]), int(fields["macs"]), shape)]
    if "networks" in fields:  # an SVM beside streams
        return [
            Network(str(one["model"]), {}, one["parameters"], one["macs"], tuple(one["input"]) or None)
            for one in fields["networks"]
        ]
    if "tables" in settings:
        models = [str(table["model"]) for table in settings["tables"] if table.get("model")]
        return [Network(model) for model in models] if len(models) == len(settings["tables"]) else []
    if "networks" in settings and "by" in settings:  # of a fusion, or of one of its streams
        made = [each for each in settings["networks"] if each.get("model")]
        names = list(settings.get("streams", []))
        if result.protocol in names and len(made) == len(names):
            made = [made[names.index(result.protocol)]]
        return [network_of(str(each["model"]), each.get("options", {}), classes) for each in made]
    if isinstance(settings.get("model"), str):
        options = settings.get("options", {})
        return [network_of(settings["model"], options, classes) if classes else Network(settings["model"], options)]
    return []


def _fused(fields: Mapping[str, Any], head: Sequence[str], result: Result) -> dict[str, Any]:
    """Of a fusion: what it is made of, as names and in words."""
    if tuple(head[:1]) not in (("fusions",), ("fused",)):
        return {}
    given = fields if head[0] == "fusions" else result.settings
    names = tuple(map(str, given.get("streams", ())))
    weights = [float(weight) for weight in given.get("weights") or [1.0] * len(names)]
    terms = [name if weight == 1 else f"{weight:g} {name}" for name, weight in zip(names, weights, strict=True)]
    before = {"scores": ", scores before softmax", "softmax": ", softmax"}.get(str(fields.get("by")), "")
    return {"made_of": names, "fused_as": " + ".join(terms) + before}


def _facts(fields: Mapping[str, Any]) -> dict[str, str]:
    similarity = fields.get("similarity")
    if not isinstance(similarity, dict):
        return {}
    error = similarity.get("standard_error")
    facts = {} if error is None else {"standard error": f"± {100 * error:.1f}"}
    return {**facts, "AUC": f"{100 * similarity['auc']:.1f}"}


def _told_apart(systems: Sequence[System]) -> list[System]:
    """Rows of one run have names of their own, and a fusion costs what its streams cost together."""
    seen: dict[str, int] = {}
    by_name = {system.name: system for system in reversed(systems)}
    apart = []
    for system in systems:
        seen[system.name] = seen.get(system.name, 0) + 1
        name = system.name if seen[system.name] == 1 else f"{system.name} ({seen[system.name]})"
        networks = system.networks
        parts = [by_name[each].networks for each in system.made_of if each in by_name]
        if parts and len(parts) == len(system.made_of):
            networks = tuple(network for part in parts for network in part)
        apart.append(replace(system, name=name, networks=networks))
    return apart

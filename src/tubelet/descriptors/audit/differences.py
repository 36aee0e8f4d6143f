"""The settings in which two tables differ, as far as they say how they were made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tubelet.descriptors.audit.recorded import RecordedTable, sampling_values
from tubelet.descriptors.audit.remaking import recorded_recipe

Weight = Literal["vectors", "places", "nothing", "perhaps"]

UNKNOWN = "not recorded"

_RECIPE_FIELDS = {
    "crop_hw": "crop",
    "average_flip": "mirror averaging",
    "flow_mean": "flow mean",
    "flip": "mirroring in training",
    "name": "recipe name",
}
_SAMPLING_FIELDS = {
    "policy": "sampling policy",
    "clip_length": "clip length",
    "stride_frames": "stride",
    "step_frames": "step",
    "short": "short videos",
    "n_clips": "clips per video",
}
_ENVIRONMENT = ("tool_version", "python", "platform", "machine", "device", "batch_size")
_NOTHING = frozenset({"mirroring in training", "recipe name"})


@dataclass(frozen=True)
class Difference:
    """A setting that is not the same.

    Attributes
    ----------
    setting
        Its name, such as ``"color"`` or ``"stride"``.
    first, second
        Its values, as text.
    weight
        What it can change: ``"vectors"``; ``"places"``, which rows there are and their times; ``"nothing"``; or
        ``"perhaps"`` the vectors, such as versions.
    """

    setting: str
    first: str
    second: str
    weight: Weight = "vectors"


def settings_that_differ(
    first: RecordedTable, second: RecordedTable, layers: tuple[str, str] | None = None
) -> list[Difference]:
    """Compare what two tables say of how they were made, what matters most first.

    Parameters
    ----------
    first, second
        The tables.
    layers
        The layer that is compared, of each.
    """
    found: list[Difference] = []

    def compare(setting: str, values: Sequence[Any], weight: Weight = "vectors") -> None:
        if values[0] != values[1]:
            found.append(Difference(setting, _text(values[0]), _text(values[1]), weight))

    tables = first, second

    if layers is not None:
        compare("layer", layers)
    compare("network", [_of(table, "model") for table in tables])
    compare("weights", [_weights(table) for table in tables])
    found += _recipes(first, second)
    one, other = (_sampling(table) for table in tables)
    for key, name in _SAMPLING_FIELDS.items():
        compare(name, [values.get(key, values.get("?")) for values in (one, other)])
    compare("precision", [_of(table, "precision") for table in tables])
    compare("flow", [_flow(table) for table in tables])
    compare("rows", ["whole videos" if table.whole_videos else "clips" for table in tables], weight="places")
    changed = changed_videos(first, second)
    if changed:
        found.append(Difference("video files", "…", f"{len(changed)} have other content, such as {changed[0]}"))
    compare("frame rate", [_given_rates(table) for table in tables], weight="places")
    if first.record and second.record:
        for name in _ENVIRONMENT:
            compare(name.replace("_", " "), [table.record.get(name) for table in tables], "perhaps")
        packages = [table.record.get("packages") or {} for table in tables]
        for name in dict.fromkeys((*packages[0], *packages[1])):
            compare(name, [versions.get(name) for versions in packages], "perhaps")
    else:
        compare("tool version", [_of(table, "tool_version") for table in tables], weight="perhaps")
    order = {"vectors": 0, "places": 1, "perhaps": 2, "nothing": 3}
    return sorted(found, key=lambda difference: order[difference.weight])


def changed_videos(first: RecordedTable, second: RecordedTable) -> list[str]:
    """Videos of one name in both tables, whose content was not the same."""
    hashes = [
        {video_id: facts.get("content_sha256") for video_id, facts in table.videos.items()} for table in (first, second)
    ]
    both = [video_id for video_id in hashes[0] if video_id in hashes[1]]
    return [video_id for video_id in both if None not in (one := (hashes[0][video_id], hashes[1][video_id]))
            and one[0] != one[1]]  # fmt: skip


def recipe_values(table: RecordedTable) -> dict[str, Any] | None:
    """The fields of a table's recipe, `Recipe.to_dict`; None where it is unknown or there are several."""
    wanted = table.only("recipe_hash")
    values = table.record.get("recipe")
    if isinstance(values, dict) and wanted is not None and table.record.get("recipe_hash") == wanted:
        return {"average_flip": False, "resize_short": None, "flow_mean": None, **values}
    published = recorded_recipe({}, wanted, None)
    return None if published is None else published.to_dict()


def means_agree(first: Mapping[str, Any], second: Mapping[str, Any], field: str) -> bool:
    """Whether mean or scale of two recipes are the same, channel by channel or as they are written.

    They stand in the order of the recipe's color: (90, 98, 101) in BGR is (101, 98, 90) in RGB.
    """
    one, other = first[field], second[field]
    return bool(one == other or _rgb(one, first["color"]) == _rgb(other, second["color"]))


def _recipes(first: RecordedTable, second: RecordedTable) -> list[Difference]:
    hashes = [str(_of(table, "recipe_hash"))[:19] for table in (first, second)]
    one, other = recipe_values(first), recipe_values(second)
    if one is None or other is None:
        return [] if hashes[0] == hashes[1] else [Difference("recipe", hashes[0], hashes[1])]
    found = []
    sizes = [_size(values) for values in (one, other)]
    if sizes[0] != sizes[1]:
        found.append(Difference("resize", sizes[0], sizes[1]))
    if one["color"] != other["color"]:
        found.append(Difference("color", one["color"].upper(), other["color"].upper()))
    turned = one["color"] != other["color"]
    for field in ("mean", "scale"):
        if not means_agree(one, other, field):
            texts = [
                _levels(_rgb(values[field], values["color"]) if turned else values[field])
                + (" (RGB)" if turned and isinstance(values[field], list) else "")
                for values in (one, other)
            ]
            found.append(Difference(field, texts[0], texts[1]))
    volumes = [values["mean_volume"] for values in (one, other)]
    if volumes[0] != volumes[1]:
        found.append(Difference("mean volume", _volume(volumes[0]), _volume(volumes[1])))
    for field, name in _RECIPE_FIELDS.items():
        if one[field] != other[field]:
            weight: Weight = "nothing" if name in _NOTHING else "vectors"
            found.append(Difference(name, _text(one[field]), _text(other[field]), weight))
    return found


def _rgb(levels: Any, color: str) -> Any:
    return levels[::-1] if isinstance(levels, list) and color == "bgr" else levels


def _levels(levels: Any) -> str:
    return ", ".join(f"{level:.6g}" for level in levels) if isinstance(levels, list) else _text(levels)


def _volume(values: Mapping[str, Any] | None) -> str:
    return "none" if values is None else f"a volume {str(values.get('sha256', ''))[:12]}"


def _size(values: Mapping[str, Any]) -> str:
    if values["resize_hw"] is None:
        return f"shorter side {values['resize_short']}"
    height, width = values["resize_hw"]
    return f"{width}×{height}"


def _of(table: RecordedTable, column: str) -> Any:
    values = [UNKNOWN if value is None else value for value in table.values(column)]
    return values[0] if len(values) == 1 else " and ".join(sorted(map(str, values))) or UNKNOWN


def _weights(table: RecordedTable) -> str:
    names = [str(value or UNKNOWN) for value in table.values("weights_sha256")]
    return " and ".join(name if name.startswith("untrained:") or name == UNKNOWN else name[:16] for name in names)


def _sampling(table: RecordedTable) -> dict[str, Any]:
    texts = table.values("sampling")
    if len(texts) != 1 or texts[0] is None:
        return {"?": UNKNOWN if not texts or texts[0] is None else "several"}
    return sampling_values(texts[0])


def _flow(table: RecordedTable) -> str | None:
    kind = table.record.get("flow")
    if not isinstance(kind, dict):
        return None
    compared = {name: value for name, value in kind.items() if name not in ("root", "parameters")}
    return ", ".join(f"{name} {_text(value)}" for name, value in compared.items() if value is not None)


def _given_rates(table: RecordedTable) -> str:
    rates = {float(facts["fps"]) for facts in table.videos.values() if facts.get("fps_source") == "given"}
    return ", ".join(f"{rate:g}" for rate in sorted(rates)) if rates else "the videos' own"


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and len(value) == 2:
        return f"{value[1]}×{value[0]}"  # height and width, as sizes are written down
    return value if isinstance(value, str) else json.dumps(value)

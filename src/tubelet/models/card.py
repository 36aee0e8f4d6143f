"""The model card: the README.md of a model folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tubelet.models.spec import descriptor_layer
from tubelet.provenance import tool_version

if TYPE_CHECKING:
    from tubelet.models.contract import VideoModel

_LABELS_SHOWN = 30
_ENTRIES_SHOWN = 10


def model_card(model: VideoModel, parameters: int, weights_sha256: str) -> str:
    """Markdown with the YAML head that model hubs read; everything in it comes from the model itself."""
    spec, paper = model.input, model.paper
    height, width = spec.height_width
    clip = f"{_counted(spec.clip_length, 'frame')} of {height} × {width} pixels, {spec.modality}"
    if spec.segments > 1:
        clip = f"{spec.segments} snippets, one from each equal part of the video: {clip}"
    options = ", ".join(f"{name}={json.dumps(value)}" for name, value in model.options.items())
    layer = descriptor_layer(model.layer_names)
    flow = ', flow="FLOW"' if spec.content.is_flow else ""  # what tubelet flow wrote
    recipe = spec.recipe if model.recipe is None else f"{model.recipe.name} ({model.recipe.hash[:12]}…)"
    lines = [
        "---",
        "library_name: tubelet",
        "pipeline_tag: video-classification",
        f"tags: [video, {model.name}]",
        "---",
        "",
        f"# {model.name}, {model.num_classes} classes",
        "",
        f"Saved by Tubelet {tool_version()}. Use it so:",
        "",
        "```python",
        "from tubelet import Extractor, load_model",
        "",
        'model = load_model("path/to/this/folder")',
        f'vectors = Extractor(model, layers=("{layer}",){flow}).describe("clip.mp4").vectors',
        "```",
        "",
        "| | |",
        "| --- | --- |",
        f"| Network | {paper.title} ({paper.authors}, {paper.year}), {paper.section}, <{paper.url}> |",
        f"| Options | {options} |",
        f"| Input | {clip}, every {_ordinal(spec.step_frames)} video frame |",
        f"| Preprocessing | {recipe}, see `preprocessor_config.json` |",
        f"| Parameters | {parameters:,} |",
        f"| SHA-256 of the weights | `{weights_sha256}` |",
        "",
        "## Classes",
        "",
        _classes(model.labels),
        "",
        "## Training",
        "",
    ]
    if model.provenance is None:
        lines += ["Not recorded.", ""]
    else:
        text = json.dumps(_brief(model.provenance), indent=2, ensure_ascii=False)
        fence = "`" * max(3, 1 + _longest_run(text, "`"))
        lines += ["From `provenance.json`, long lists cut short:", "", f"{fence}json", text, fence, ""]
    return "\n".join(lines)


def _classes(labels: tuple[str, ...] | None) -> str:
    if labels is None:
        return "No names were given."
    shown = ", ".join(json.dumps(label, ensure_ascii=False) for label in labels[:_LABELS_SHOWN])
    more = len(labels) - _LABELS_SHOWN
    return shown + (f" and {more} more, see `labels.json`" if more > 0 else "") + "."


def _brief(value: Any) -> Any:
    """A JSON value with long lists (group hashes, names of tensors) cut short; the file beside the card has all."""
    if isinstance(value, dict):
        return {key: _brief(entry) for key, entry in value.items()}
    if not isinstance(value, list | tuple):
        return value
    shown, more = [_brief(entry) for entry in value[:_ENTRIES_SHOWN]], len(value) - _ENTRIES_SHOWN
    return [*shown, f"and {more} more"] if more > 0 else shown


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("s" if count > 1 else "")


def _ordinal(step: int) -> str:
    return {1: "single", 2: "second", 3: "third"}.get(step, f"{step}th")


def _longest_run(text: str, character: str) -> int:
    longest = run = 0
    for other in text:
        run = run + 1 if other == character else 0
        longest = max(longest, run)
    return longest

"""What a user points at: a video, a folder of videos, a model folder or the run that holds one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tubelet.errors import InputDataError, TubeletError, UsageError

if TYPE_CHECKING:
    from tubelet.clips.recipe import Recipe
    from tubelet.datasets.manifest import Manifest
    from tubelet.models.contract import VideoModel


def open_model(model: str) -> VideoModel:
    """A model folder, the folder of a run that holds one, ``untrained:NAME``, or ``hf:`` and a folder or ORG/NAME."""
    from tubelet.models.folder import load_model
    from tubelet.models.registry import create_model

    if model.startswith("untrained:"):
        return create_model(model.removeprefix("untrained:"), seed=0)
    return load_model(model_folder(Path(model)))


def source_of(model: str) -> str:
    """``--model`` as a table remembers it: valid from any working directory, and of a run its model folder."""
    return model if model.startswith("untrained:") else os.path.abspath(model_folder(Path(model)))


def recorded_model(record: Mapping[str, Any], table: Path, model: str | None, option: str = "--model") -> VideoModel:
    """The model that made a table: the one named, else the one that its ``provenance.json`` names.

    Raises
    ------
    UsageError
        Neither names one.
    InputDataError
        It is no longer where it was.
    """
    if model is not None:
        return open_model(model)
    named = record.get("model_source")
    if named is None:
        raise UsageError("the table does not say where its model lies", path=table, remedy=f"name it with {option}")
    try:
        return open_model(str(named))
    except InputDataError as error:
        raise InputDataError(
            "the model that the table names cannot be opened",
            path=named,
            why=error.why or error.what,
            remedy=f"say with {option} where it lies now",
        ) from error


def recipe_with_mean(model: VideoModel, mean: Path | None) -> Recipe | None:
    """The recipe that ``--mean FILE`` asks for, None where the model's own is used.

    Raises
    ------
    UsageError
        If the model's weights are bound to another recipe, which has no mean volume.
    """
    if mean is None:
        return None
    from tubelet.clips.recipes import get_recipe

    name = model.input.recipe if model.recipe is None else model.recipe.name
    if name != "c3d_sports1m":
        raise UsageError(
            f"--mean is the mean volume of recipe c3d_sports1m, and {model.name} takes {name}",
            remedy="leave --mean away: preprocessing belongs to the weights",
        )
    return get_recipe("c3d_sports1m", mean).with_side(model.input.side)


def model_folder(path: Path) -> Path:
    """``path`` itself, or ``path/model`` where ``path`` is the folder of a training run.

    ``hf:FOLDER`` is that folder; ``hf:ORG/NAME`` the copy of what the Hugging Face hub has under that name.

    Raises
    ------
    InputDataError
        The run has no model yet; or the hub has none, or cannot be reached.
    """
    from tubelet.models.huggingface.files import located

    path = located(path)
    if (path / "model" / "config.json").is_file():
        return path / "model"
    if (path / "checkpoints").is_dir() and not (path / "config.json").is_file():
        raise InputDataError(
            "the training run in this folder is not finished, so it has no model yet",
            path=path,
            remedy="type its command again, it goes on where it was",
        )
    return path


def name_of(source: Path) -> str:
    """What runs on these videos are called: the folder's name, or the file's without its suffix."""
    whole = Path(os.path.abspath(source))
    return (whole.name if whole.is_dir() else whole.stem) or "videos"


def open_videos(source: Path, fps: float | None) -> Manifest:
    """Every video of a folder (or the one video), with labels where the folder says them.

    A folder with metadata.csv holds what the table lists. In any other folder no video is left out for lying
    outside a layout: labels are an extra here, not a condition.
    """
    from tubelet.datasets.catalog import detect_kind, open_dataset
    from tubelet.datasets.discovery import is_frame_folder
    from tubelet.datasets.item_table import Item
    from tubelet.datasets.manifest import Manifest
    from tubelet.datasets.weizmann import refuse_misplaced

    if not source.exists():
        raise InputDataError("there is no such file or folder", path=source, remedy="check the spelling of the path")
    if source.name in ("", ".."):
        source = Path(os.path.abspath(source))  # "." has a name of its own
    if source.suffix.lower() == ".csv":
        return open_dataset("metadata", source, fps=fps)
    if source.is_file() or is_frame_folder(source):
        item = Item(source.name, None)
        return Manifest(source.parent.name or "videos", source.parent, (item,), (), fps=fps)
    kind = detect_kind(source)
    if kind == "metadata":
        return open_dataset(kind, source, fps=fps)
    videos = open_dataset("videos", source, fps=fps)
    try:
        labeled = refuse_misplaced(open_dataset(kind, source, fps=fps))
    except TubeletError:
        return videos
    known = {item.path: item for item in labeled.items}
    items = tuple(replace(known.get(item.path, item), split=None) for item in videos.items)
    return replace(videos, items=items, classes=labeled.classes, group_rule=labeled.group_rule)

"""Model folders: a network with its preprocessing, class names and origin as plain files, nothing pickled.

``config.json`` (network, options, the other files' facts), ``model.safetensors``,
``preprocessor_config.json``, ``labels.json``, ``provenance.json`` and ``README.md``.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tubelet.artifacts import sync_folder, write_atomically, write_json, write_text
from tubelet.clips.recipe import RECIPE_FILE, Recipe
from tubelet.clips.recipes import get_recipe
from tubelet.errors import InputDataError, UsageError
from tubelet.models.card import model_card
from tubelet.models.contract import VideoModel
from tubelet.models.huggingface import files as huggingface_files
from tubelet.models.huggingface.load import load_huggingface
from tubelet.models.registry import build_meta
from tubelet.models.tensors import check_tensors, fill, read_header, write_tensors
from tubelet.provenance import environment, sha256_file, tool_version

_log = logging.getLogger(__name__)

CONFIG, WEIGHTS, LABELS, PROVENANCE, CARD = (
    "config.json",
    "model.safetensors",
    "labels.json",
    "provenance.json",
    "README.md",
)
_FORMAT = "tubelet-model"
_VERSION = 1


@dataclass(frozen=True)
class ModelConfig:
    """What ``config.json`` says: the network's name, classes and options, and the hash of its weights."""

    name: str
    num_classes: int
    options: dict[str, Any]
    weights_sha256: str


def save_model(
    model: VideoModel,
    folder: str | os.PathLike[str],
    *,
    recipe: Recipe | None = None,
    labels: Sequence[str] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Write ``model`` as a model folder.

    Parameters
    ----------
    model
        Its weights are stored as float32; its ``weights_id`` becomes the hash of the file.
    folder
        A new folder appears whole or not at all. In an existing one the model's files are replaced, each
        atomically; whatever else lies there stays. Should the machine stop between the first of these renames
        and the last, loading says that the weights are not those of the configuration.
    recipe
        How clips are preprocessed. Default: the model's own, else the published one that its ``input`` names,
        at its side. ``c3d_sports1m`` cannot be had without its mean file: then none is saved, and the log
        says so.
    labels
        Class names in the order of the outputs. Default: the model's own.
    provenance
        What it was trained on and how (JSON-ready), stored beside the environment. Default: the model's own.

    Returns
    -------
    Path
        ``folder``.

    Raises
    ------
    UsageError
        If the labels are not one distinct name per output, or ``folder`` is a file.
    """
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise UsageError(
            "a model is saved into a folder, and this is a file", path=target, remedy="choose another name"
        )
    model.recipe = recipe or model.recipe or _published_recipe(model)
    model.labels = _checked_labels(model.labels if labels is None else labels, model.num_classes)
    if provenance is not None:
        model.provenance = {"environment": environment(), **provenance}
    target.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp"))
    try:
        weights_sha256 = _write_files(model, stage)
        if target.exists() and any(target.iterdir()):
            _replace_files(stage, target)
        else:
            _give_usual_permissions(stage)
            os.replace(stage, target)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    model.set_weights_id(weights_sha256)
    return target


def load_model(folder: str | os.PathLike[str], **options: Any) -> VideoModel:
    """Read a model folder.

    Everything is checked before a weight is loaded: the configuration, the size of the weights file, the
    names, types and shapes of its tensors, and its hash.

    Parameters
    ----------
    folder
        What ``model.save`` wrote; or what Hugging Face transformers wrote, see `tubelet.models.huggingface`.
    **options
        Options that differ from the saved ones and leave the weights as they are, such as ``dropout``.

    Returns
    -------
    VideoModel
        In evaluation mode, with ``recipe``, ``labels`` and ``provenance`` as saved (None where not).

    Raises
    ------
    InputDataError
        If the folder is not one of a model, or damaged: one sentence that says where.
    UsageError
        If an option is unknown.
    MissingExtraError
        If it is a network of Hugging Face, and transformers is not installed.
    """
    root = Path(folder)
    if huggingface_files.is_huggingface(root):
        return load_huggingface(root, **options)
    config = read_config(root)
    try:
        model = build_meta(config.name, config.num_classes, config.options)
    except UsageError as error:
        raise _broken(
            root / CONFIG,
            f"its network cannot be built: {error}",
            f"it was saved by another version; this is Tubelet {tool_version()}",
        ) from error
    if options:
        model = build_meta(config.name, config.num_classes, {**config.options, **options})
    check_tensors(model, read_header(root / WEIGHTS), root / WEIGHTS)
    found = sha256_file(root / WEIGHTS)
    if found != config.weights_sha256:
        raise InputDataError(
            "the weights are not those that the configuration names",
            path=root / WEIGHTS,
            why=f"SHA-256 {found[:12]}… instead of {config.weights_sha256[:12]}…",
            remedy="copy or save the model folder again",
        )
    model.to_empty(device="cpu")
    fill(model, root / WEIGHTS)
    model.recipe = Recipe.load(root) if (root / RECIPE_FILE).exists() else None
    model.labels = _read_labels(root / LABELS, config.num_classes)
    model.provenance = read_provenance(root)
    model.set_weights_id(found)
    return model.eval()


def network_of(folder: str | os.PathLike[str]) -> VideoModel:
    """The network of a model folder for its facts; of a network of Hugging Face with its weights, else without.

    Raises
    ------
    InputDataError, UsageError, MissingExtraError
        As `load_model`.
    """
    root = Path(folder)
    if huggingface_files.is_huggingface(root):
        return load_huggingface(root)
    config = read_config(root)
    model = build_meta(config.name, config.num_classes, config.options)
    model.recipe = Recipe.load(root) if (root / RECIPE_FILE).is_file() else None
    return model


def read_provenance(folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What a model folder says about how it came about; None where it says nothing.

    A folder of Hugging Face has at most a card, which names data sets.

    Raises
    ------
    InputDataError
        If its ``provenance.json`` cannot be read.
    """
    root = Path(folder)
    if huggingface_files.is_huggingface(root):
        return huggingface_files.card_provenance(root)
    path = root / PROVENANCE
    return _read_json(path, dict) if path.exists() else None


def read_config(folder: str | os.PathLike[str]) -> ModelConfig:
    """Read and check a model folder's ``config.json``; of a folder of Hugging Face its type, and its weights' hash.

    Raises
    ------
    InputDataError
        If there is no model folder, or its configuration cannot be used.
    """
    root = Path(folder)
    path = root / CONFIG
    if not path.is_file():
        raise InputDataError(
            "this is no model folder",
            path=root,
            why=f"it has no {CONFIG}" if root.is_dir() else "there is no such folder",
            remedy="give a folder that model.save or tubelet train wrote; no weights ship with Tubelet",
        )
    if huggingface_files.is_huggingface(root):
        kind = huggingface_files.read_json(path)["model_type"]
        name, weights_sha256 = f"{huggingface_files.PREFIX}{kind}", huggingface_files.weights_sha256(root)
        return ModelConfig(name, 0, {}, weights_sha256)
    values = _read_json(path, dict)
    if values.get("format") != _FORMAT:
        raise _broken(path, f"its format is not {_FORMAT!r}", "give a folder that model.save wrote")
    if values.get("format_version") != _VERSION:
        raise _broken(path, f"format version {values.get('format_version')!r} is unknown", "update Tubelet")
    kinds = {"name": str, "num_classes": int, "options": dict, "weights_sha256": str}
    for key, kind in kinds.items():
        if not isinstance(values.get(key), kind):
            raise _broken(path, f"{key} is missing or of the wrong kind", "save the model again")
    return ModelConfig(**{key: values[key] for key in kinds})


def _write_files(model: VideoModel, stage: Path) -> str:
    write_atomically(stage / WEIGHTS, lambda path: write_tensors(model, path))
    weights_sha256 = sha256_file(stage / WEIGHTS)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if model.recipe is not None:
        model.recipe.save(stage)
    if model.labels is not None:
        write_json(stage / LABELS, list(model.labels))
    if model.provenance is not None:
        write_json(stage / PROVENANCE, model.provenance)
    write_text(stage / CARD, model_card(model, parameters, weights_sha256))
    write_json(
        stage / CONFIG,
        {
            "format": _FORMAT,
            "format_version": _VERSION,
            "name": model.name,
            "num_classes": model.num_classes,
            "options": model.options,
            "input": model.input.to_dict(),
            "layer_names": list(model.layer_names),
            "parameters": parameters,
            "recipe_hash": None if model.recipe is None else model.recipe.hash,
            "weights_sha256": weights_sha256,
            "tool_version": tool_version(),
        },
    )
    return weights_sha256


def _replace_files(stage: Path, target: Path) -> None:
    new = {path.name for path in stage.iterdir()}
    # The weights go first and the configuration, which holds their hash, last: nothing in between loads.
    for name in sorted(new - {CONFIG}, key=lambda name: name != WEIGHTS):
        os.replace(stage / name, target / name)
    for name in {LABELS, PROVENANCE, RECIPE_FILE} - new:
        (target / name).unlink(missing_ok=True)
    os.replace(stage / CONFIG, target / CONFIG)
    sync_folder(target)


def _give_usual_permissions(folder: Path) -> None:
    # mkdtemp makes folders private; a model folder has the permissions of any other.
    umask = os.umask(0)
    os.umask(umask)
    folder.chmod(0o777 & ~umask)


def _published_recipe(model: VideoModel) -> Recipe | None:
    try:
        return get_recipe(model.input.recipe).with_side(model.input.side)
    except UsageError as error:
        _log.warning("%s is saved without its preprocessing: %s", model.name, error)
        return None


def _checked_labels(labels: Sequence[str] | None, count: int) -> tuple[str, ...] | None:
    if labels is None:
        return None
    names = tuple(labels)
    if isinstance(labels, str) or not all(isinstance(name, str) for name in names):
        raise UsageError("labels are not a sequence of class names")
    if len(names) != count or len(set(names)) != count:
        raise UsageError(
            f"{len(names)} labels, {len(set(names))} of them distinct, for {count} classes",
            remedy="give one distinct name for each output",
        )
    return names


def _read_labels(path: Path, count: int) -> tuple[str, ...] | None:
    if not path.exists():
        return None
    try:
        return _checked_labels(_read_json(path, list), count)
    except UsageError as error:
        raise _broken(path, str(error), "save the model again") from error


def _read_json(path: Path, kind: type) -> Any:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _broken(path, f"it is not readable as JSON: {error}", "copy or save it again") from error
    if not isinstance(value, kind):
        raise _broken(path, f"it holds no {kind.__name__}", "copy or save it again")
    return value


def _broken(path: Path, why: str, remedy: str) -> InputDataError:
    return InputDataError("the model folder cannot be read", path=path, why=why, remedy=remedy)

"""The files of a Hugging Face model: where they are, whether they are whole, and which weights they hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tubelet.errors import InputDataError
from tubelet.models.huggingface.library import hub
from tubelet.models.tensors import read_header
from tubelet.provenance import hash_json, sha256_file

PREFIX = "hf:"
"""What a user writes in front of a folder, or of a name on the hub."""

CONFIG = "config.json"
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
_FETCHED = (
    "config.json",
    "model*.safetensors",
    _INDEX,
    "*preprocessor_config.json",
    "processor_config.json",
    "README.md",
)


def is_huggingface(folder: Path) -> bool:
    """Whether a folder's ``config.json`` is one of transformers: it says a ``model_type``, and no format of ours."""
    try:
        values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(values, dict) and "format" not in values and isinstance(values.get("model_type"), str)


def locate(source: str) -> Path:
    """The folder that ``hf:SOURCE`` stands for: itself, or the snapshot of a name on the hub.

    Parameters
    ----------
    source
        A folder; else ``ORG/NAME``, or ``ORG/NAME@REVISION``, which is fetched unless it is in the hub's cache already.
        Weights are fetched as safetensors only.

    Raises
    ------
    InputDataError
        There is no such folder and no such name, or the hub cannot be reached.
    MissingExtraError
        The hub's client is not installed.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if not _HUB_NAME.fullmatch(source) or folder.is_absolute():
        raise InputDataError(
            "there is no such folder",
            path=source,
            why="and on the Hugging Face hub a model is called ORG/NAME",
            remedy="check the spelling",
        )
    name, _, revision = source.partition("@")
    client = hub()
    try:
        return Path(client.snapshot_download(name, revision=revision or None, allow_patterns=list(_FETCHED)))
    except Exception as error:  # the client and what it is built on raise dozens of kinds
        raise InputDataError(
            "the model is no folder, and cannot be fetched from the Hugging Face hub",
            path=source,
            why=str(error).strip().partition("\n")[0] or type(error).__name__,
            remedy="check the name and the connection, or give the folder of a copy",
        ) from error


def located(path: Path) -> Path:
    """``path``, or the folder that it stands for where it begins with ``hf:``; errors as `locate`."""
    text = str(path)
    return locate(text.removeprefix(PREFIX)) if text.startswith(PREFIX) and not path.exists() else path


def read_json(path: Path) -> dict[str, Any]:
    """An object out of a JSON file.

    Raises
    ------
    InputDataError
        If it cannot be read, or holds something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputDataError(
            "the file cannot be read as JSON", path=path, why=str(error), remedy="copy it again"
        ) from error
    if not isinstance(values, dict):
        raise InputDataError("the file holds no JSON object", path=path, remedy="copy it again")
    return values


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors of a folder, in the order of their names, each with its header checked against its size.

    Raises
    ------
    InputDataError
        There are none (pickled ones are not read), one that the index names is missing, or one is damaged.
    """
    if (folder / _WEIGHTS).is_file():
        files: tuple[Path, ...] = (folder / _WEIGHTS,)
    elif (folder / _INDEX).is_file():
        placed = read_json(folder / _INDEX).get("weight_map")
        if not isinstance(placed, dict) or not placed or not all(_is_plain(name) for name in placed.values()):
            raise InputDataError("the index names no files", path=folder / _INDEX, remedy="copy it again")
        files = tuple(folder / name for name in sorted(set(placed.values())))
    else:
        raise _no_safetensors(folder)
    for path in files:
        read_header(path)
    return files


def weights_sha256(folder: Path) -> str:
    """SHA-256 of ``model.safetensors``; of weights in several files the hash of their names and hashes.

    Raises
    ------
    InputDataError
        As `weight_files`.
    """
    files = weight_files(folder)
    if len(files) == 1 and files[0].name == _WEIGHTS:
        return sha256_file(files[0])
    return hash_json({path.name: sha256_file(path) for path in files})


def card_datasets(folder: Path) -> tuple[str, ...]:
    """Data sets that the head of a model card (``README.md``) names; empty where it names none."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ()
    head = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    lines = head[1].splitlines() if head else []
    found: list[str] = []
    inside = False
    for line in lines:
        if line.startswith("datasets:"):
            inside = True
            found += [name for name in re.split(r"[\s,\[\]]+", line.partition(":")[2]) if name]
        elif inside and (entry := re.fullmatch(r"\s*-\s+(.+?)\s*", line)):
            found.append(entry[1])
        else:
            inside = False
    return tuple(name.strip("'\"") for name in found)


def card_provenance(folder: Path) -> dict[str, Any] | None:
    """What is known of the training: the data sets that the card names, and nothing of videos or groups; or None."""
    datasets = card_datasets(folder)
    return {"converted_from": {"what": f"{', '.join(datasets)}, says its card"}} if datasets else None


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and name.endswith(".safetensors") and Path(name).name == name


def _no_safetensors(folder: Path) -> InputDataError:
    pickled = [name for name in _PICKLED if (folder / name).is_file()]
    if not pickled:
        return InputDataError(
            "the folder has no weights", path=folder, why=f"neither {_WEIGHTS} nor {_INDEX}", remedy="copy it again"
        )
    architectures = read_json(folder / CONFIG).get("architectures")
    kind = architectures[0] if isinstance(architectures, list) and architectures else "AutoModel"
    return InputDataError(
        f"the weights are in {pickled[0]}, and only safetensors are read",
        path=folder,
        why="a pickled file can run code",
        remedy='convert a folder that you trust: python -c "from transformers import '
        f"{kind} as M; M.from_pretrained('{folder}').save_pretrained('NEW')\", and copy its *preprocessor_config.json",
    )

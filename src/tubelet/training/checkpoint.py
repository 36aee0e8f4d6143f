"""A training checkpoint is one safetensors file: weights, buffers, optimizer tensors, and a JSON state.

One file, put in place by a rename, is either whole or absent; nothing in it is ever executed. Random state needs
no bytes: every draw of a run is derived from (seed, step) or (seed, epoch, sample), both in the state.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tubelet.artifacts import write_atomically
from tubelet.errors import InputDataError

FORMAT = 1


def save_checkpoint(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any], keep: int
) -> Path:
    """Write ``step_XXXXXXXX.safetensors`` for ``state["step"]`` and remove all but the newest ``keep``.

    Parameters
    ----------
    folder
        The run's ``checkpoints/``.
    model, optimizer
        Their tensors are stored in fp32 as they are.
    state
        JSON values; must hold ``step``, the number of optimizer steps taken.
    keep
        How many checkpoints stay; an older one is removed only after the new one is on disk.
    """
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    scalars: dict[str, float | int] = {}
    for index, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{index}/{name}"] = value
            elif value is not None:
                scalars[f"{index}/{name}"] = value
    # Stored contiguous: safetensors knows no memory format; loading copies into the live layout.
    whole = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    text = json.dumps({"format": FORMAT, "optimizer_scalars": scalars, **state}, allow_nan=False)
    path = folder / f"step_{state['step']:08d}.safetensors"
    write_atomically(path, lambda temporary: save_file(whole, temporary, metadata={"state": text}))
    for old in sorted(folder.glob("step_*.safetensors"))[:-keep]:
        old.unlink(missing_ok=True)
    return path


def latest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint with the most steps, or None. Files are whole or absent, so the newest one is good."""
    found = sorted(folder.glob("step_*.safetensors"))
    return found[-1] if found else None


def checkpoint_weights(path: Path) -> dict[str, Tensor]:
    """Weights and buffers at this checkpoint, for the network's ``load_state_dict``; raises as `load_checkpoint`."""
    return _weights(_read(path)[1])


def checkpoint_step(path: Path) -> int:
    """Optimizer steps taken at this checkpoint."""
    return int(path.stem.removeprefix("step_"))


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Restore ``model`` and ``optimizer`` in place and return the state that was saved with them.

    Raises
    ------
    InputDataError
        If the file is damaged or belongs to another network.
    """
    state, tensors = _read(path)
    weights = _weights(tensors)
    expected = {name: value.shape for name, value in model.state_dict().items()}
    if {name: value.shape for name, value in weights.items()} != expected:
        raise InputDataError(
            "the checkpoint belongs to another network",
            path=path,
            remedy="use another run name or --overwrite",
        )
    model.load_state_dict(weights)
    slots: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, index, slot = name.split("/", 2)
            slots.setdefault(int(index), {})[slot] = value
    for name, scalar in state.pop("optimizer_scalars").items():
        index, slot = name.split("/", 1)
        slots.setdefault(int(index), {})[slot] = scalar
    whole = optimizer.state_dict()
    whole["state"] = slots
    optimizer.load_state_dict(whole)
    _match_layout(model, optimizer)
    return state


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            state: dict[str, Any] = json.loads((file.metadata() or {})["state"])
            return state, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise InputDataError(
            "the checkpoint cannot be read",
            path=path,
            why=str(error),
            remedy="delete it to resume from the one before",
        ) from error


def _weights(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("model/"): value for name, value in tensors.items() if name.startswith("model/")}


def _match_layout(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    # An optimizer slot that lies in memory as its parameter does takes the same vectorized path in the resumed
    # run as in the unbroken one; a different layout may round differently in the last bit.
    for parameter in model.parameters():
        for name, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                optimizer.state[parameter][name] = torch.empty_like(parameter).copy_(value)

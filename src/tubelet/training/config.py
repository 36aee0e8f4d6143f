"""How a network is trained: one frozen value, saved resolved beside every run."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tubelet.artifacts import write_text
from tubelet.clips.jitter import Jitter
from tubelet.errors import UsageError

_Model = TypeVar("_Model", bound=BaseModel)

StartFrom = Literal["same", "inflate", "cross_modality"]
"""How starting weights are used: of the same network, of its 2-D counterpart, or of the same network for RGB."""


class TrainConfig(BaseModel):
    """Settings of one training run.

    Steps are optimizer steps; learning rates are per step and not scaled by anything. With a batch other
    than the paper's 30, scale the learning rate down and the iterations up by the same factor, as the
    first author advises (facebookarchive/C3D issue 42).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    iterations: int = Field(900, ge=1, description="optimizer steps")
    batch_size: int = Field(24, ge=2, description="clips per step")
    optimizer: Literal["sgd", "adamw"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD only")
    nesterov: bool = Field(False, description="SGD only: Nesterov's momentum")
    weight_decay: float = Field(0.01, ge=0)
    schedule: Literal["step", "multistep", "plateau", "one-cycle", "constant"] = "one-cycle"
    step_every: int = Field(20_000, ge=1, description="'step': steps between two drops")
    milestones: tuple[int, ...] = Field((), description="'multistep': steps taken when the rate drops, rising")
    patience: int = Field(5, ge=1, description="'plateau': validations without a lower loss before a drop")
    step_factor: float = Field(0.1, gt=0, lt=1, description="'step', 'multistep', 'plateau': factor of each drop")
    warmup_fraction: float = Field(0.2, gt=0, lt=1, description="'one-cycle': share of the rise")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    gradient_clip: float | None = Field(None, gt=0, description="largest gradient norm; None: not clipped")
    train_layers: tuple[str, ...] | None = Field(
        None, description="only these layers learn ('head': the classifier or classifiers); None: all"
    )
    clips: Literal["random", "non_overlapping"] = Field(
        "random", description="one random clip per video and epoch, or every non-overlapping clip (paper 3.1)"
    )
    class_uniform: bool = Field(False, description="every class equally often, whatever its size (Two-Stream, 5)")
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    jitter: Jitter = Jitter(crop="none")
    seed: int = Field(0, ge=0)
    checkpoint_every: int = Field(100, ge=1, description="steps between two checkpoints")
    keep_checkpoints: int = Field(2, ge=1)
    validate_every: int = Field(0, ge=0, description="steps between two validations; 0: never")
    workers: int = Field(2, ge=1, description="decoding processes")
    cache_mib: int = Field(2048, ge=0, description="decoded training frames kept in memory")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.optimizer == "adamw" and "momentum" in self.model_fields_set and self.momentum != 0.9:
            raise ValueError("momentum belongs to optimizer = 'sgd'")
        if self.nesterov and (self.optimizer != "sgd" or self.momentum == 0):
            raise ValueError("nesterov belongs to optimizer = 'sgd' with a momentum above 0")
        if self.milestones and self.schedule != "multistep":
            raise ValueError("milestones belong to schedule = 'multistep'")
        if self.schedule == "multistep" and not _rising(self.milestones):
            raise ValueError("schedule = 'multistep' needs milestones: whole numbers above 0, each above the last")
        if self.schedule == "plateau" and not self.validate_every:
            raise ValueError("schedule = 'plateau' follows the validation loss, so validate_every cannot be 0")
        if self.train_layers == ():
            raise ValueError("train_layers names no layer, so nothing would learn")
        return self

    def changed(self, **settings: Any) -> TrainConfig:
        """A copy with some settings replaced, validated; None leaves a setting as it is."""
        given = {key: value for key, value in settings.items() if value is not None}
        return build_config(TrainConfig, {**self.model_dump(), **given}, "this run")


class FurtherSet(BaseModel):
    """A data set that a head of its own learns from, beside the experiment's (multi-task learning)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = Field(description="name in the dataset catalog")
    split: int | None = Field(None, description="official split whose training part is used; None: every video")


class NetworkTraining(BaseModel):
    """A network, what it starts from, what it sees, and how it is trained: what every experiment's file says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    model: str
    options: dict[str, Any] = {}
    recipe: str
    weights: Literal["none", "required"] = "none"
    start_from: StartFrom = Field("same", description="how the weights of another network become this one's")
    flow: Literal["none", "required"] = Field("none", description="whether stored optical flow is needed")
    train: TrainConfig

    @model_validator(mode="after")
    def _weights_agree(self) -> Self:
        if self.start_from != "same" and self.weights == "none":
            raise ValueError(f"start_from = {self.start_from!r} needs weights = 'required'")
        return self


class Experiment(NetworkTraining):
    """One published experiment: a small TOML file under ``experiments/``."""

    source: str = Field(description="where the settings are from: paper section or solver file")
    dataset: str = Field(description="name in the dataset catalog")
    split: int = 1
    teacher: Literal["none", "required"] = Field(
        "none", description="'required': no labels; the network learns which frames belong to its clip (T3D, figure 2)"
    )
    also: tuple[FurtherSet, ...] = ()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.also and self.teacher == "required":
            raise ValueError("further data sets have labels, and a teacher needs none")
        return self


def _rising(steps: tuple[int, ...]) -> bool:
    return bool(steps) and all(low < high for low, high in zip((0, *steps), steps, strict=False))


def build_config(kind: type[_Model], values: dict[str, Any], where: str) -> _Model:
    """Validate ``values``; every fault becomes one sentence that names its key."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'settings'}: {fault['msg']}" for fault in error.errors()
        )
        raise UsageError(f"the settings of {where} do not fit", why=faults, remedy="correct these") from error


def load_experiment(path: str | Path) -> Experiment:
    """Read an experiment file; raises as `load_config`."""
    return load_config(Experiment, path)


def load_config(kind: type[_Model], path: str | Path) -> _Model:
    """Read a TOML file as ``kind``.

    Raises
    ------
    UsageError
        If the file is missing, is not TOML, or has unknown or unfitting keys.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError("there is no such experiment file", path=path, remedy="see experiments/*.toml") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            "the experiment file is not valid TOML",
            path=path,
            why=str(error),
            remedy="see experiments/*.toml for examples",
        ) from error
    return build_config(kind, values, str(path))


def save_toml(path: str | Path, values: dict[str, Any]) -> Path:
    """Write nested plain values as TOML, atomically; keys whose value is None are left out (TOML has no null)."""
    return write_text(path, _toml(values))


def _toml(values: dict[str, Any], prefix: str = "") -> str:
    plain = {k: v for k, v in values.items() if v is not None and not isinstance(v, dict)}
    tables = {k: v for k, v in values.items() if isinstance(v, dict)}
    text = "".join(f"{_toml_key(key)} = {_toml_value(value)}\n" for key, value in plain.items())
    for key, table in tables.items():
        name = f"{prefix}{_toml_key(key)}"
        text += f"\n[{name}]\n{_toml(table, name + '.')}"
    return text


def _toml_key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _toml_value(key)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml_value(item) for item in value)}]"
    escaped = "".join(
        {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(c, c if c >= " " else f"\\u{ord(c):04x}")
        for c in str(value)
    )
    return f'"{escaped}"'

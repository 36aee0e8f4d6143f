"""A comparison of streams as a small TOML file: which networks, trained how, tested on which folds, fused how."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tubelet.errors import UsageError
from tubelet.training.config import NetworkTraining, load_config


class StreamPlan(NetworkTraining):
    """One stream: a network that is trained and tested on every fold."""

    views: str | None = Field(None, description="test views, as of tubelet evaluate --views; None: its paper's")

    @model_validator(mode="after")
    def _without_validation(self) -> Self:
        if self.train.validate_every:
            raise ValueError("a fold holds no validation videos out, so validate_every must be 0")
        return self


class FusionPlan(BaseModel):
    """One row of the table that several streams make together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    streams: tuple[str, ...] = Field(min_length=2)
    weights: tuple[float, ...] | None = Field(None, description="one per stream; None: 1 each")
    by: Literal["scores", "softmax"] = Field("scores", description="see tubelet.protocols.fusion")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if len(set(self.streams)) < len(self.streams):
            raise ValueError("a stream is named twice")
        if self.weights is not None and len(self.weights) != len(self.streams):
            raise ValueError(f"{len(self.weights)} weights for {len(self.streams)} streams")
        if self.weights is not None and not all(0 < weight < float("inf") for weight in self.weights):
            raise ValueError("weights are positive numbers")
        return self

    @property
    def factors(self) -> tuple[float, ...]:
        """One weight per stream."""
        return self.weights or (1.0,) * len(self.streams)


class StreamExperiment(BaseModel):
    """Several streams on the same folds of a data set, and their fusions.

    ``folds`` is ``"groups"`` (each group is left out once), a number of folds of whole groups, or ``"official"`` (the
    data set's own training and test part). ``primary`` names the comparison that heads the report: the first minus
    the second, streams or fusions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str = Field(description="papers that it reduces, and which settings are ours")
    dataset: str = Field(description="name in the dataset catalog")
    split: int = Field(1, description="official split, where there are several")
    folds: Literal["groups", "official"] | int = "groups"
    fold_seed: int = Field(0, ge=0, description="of a number of folds; not that of training, so that seeds compare")
    primary: tuple[str, str] | None = None
    streams: tuple[StreamPlan, ...] = Field(min_length=1)
    fusions: tuple[FusionPlan, ...] = ()

    @field_validator("folds", mode="before")
    @classmethod
    def _known_folds(cls, value: Any) -> Any:
        if value in ("groups", "official") or (isinstance(value, int) and not isinstance(value, bool) and value >= 2):
            return value
        raise ValueError(f"{value!r} is not 'groups', 'official' or a number of folds from 2 on")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        streams = [stream.name for stream in self.streams]
        rows = [*streams, *(fusion.name for fusion in self.fusions)]
        for name in rows:
            if not name.strip():
                raise ValueError("a stream or a fusion has an empty name")
            if rows.count(name) > 1:
                raise ValueError(f"{name!r} names two streams or fusions")
        if "plots" in streams:
            raise ValueError("a stream cannot be called 'plots': that folder holds the report's pictures")
        for fusion in self.fusions:
            if unknown := [name for name in fusion.streams if name not in streams]:
                raise ValueError(f"the fusion {fusion.name!r} names {unknown[0]!r}, and the streams are {streams}")
        if self.primary is not None and (unknown := [name for name in self.primary if name not in rows]):
            raise ValueError(f"primary names {unknown[0]!r}, and the table's rows are {rows}")
        if self.primary is not None and self.primary[0] == self.primary[1]:
            raise ValueError("primary names the same row twice")
        return self

    def only(self, names: Sequence[str] | None) -> StreamExperiment:
        """The experiment with these streams, and with the fusions and the comparison that need no other.

        Raises
        ------
        UsageError
            A name is none of the streams'.
        """
        if names is None:
            return self
        known = [stream.name for stream in self.streams]
        if unknown := [name for name in names if name not in known]:
            raise UsageError(f"{self.name} has no stream {unknown[0]!r}", remedy=f"its streams are {', '.join(known)}")
        streams = tuple(stream for stream in self.streams if stream.name in names)
        fusions = tuple(fusion for fusion in self.fusions if set(fusion.streams) <= set(names))
        rows = {stream.name for stream in streams} | {fusion.name for fusion in fusions}
        primary = self.primary if self.primary is not None and set(self.primary) <= rows else None
        return self.model_copy(update={"streams": streams, "fusions": fusions, "primary": primary})


def load_stream_experiment(path: str | Path) -> StreamExperiment:
    """Read the file of a comparison of streams; raises as `tubelet.training.config.load_config`."""
    return load_config(StreamExperiment, path)

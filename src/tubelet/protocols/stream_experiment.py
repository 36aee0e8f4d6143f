"""A comparison of streams as a small TOML file: which networks, trained how, tested on which folds, fused how.

Beside the streams' own scores a file may ask for linear SVMs: on a layer of a stream's network (``svm``), on a network
that is not trained at all (``[[features]]``), on improved dense trajectories (``[[trajectories]]``), and on several
such descriptors side by side (``[[combinations]]``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tubelet.baselines.idt.encoding import BAG_OF_WORDS, Encoding
from tubelet.errors import UsageError
from tubelet.training.config import NetworkTraining, load_config

PLOTS, TRAJECTORIES = "plots", "trajectories"
"""Folders of a run that are no row's."""


class StreamPlan(NetworkTraining):
    """One stream: a network that is trained and tested on every fold."""

    views: str | None = Field(None, description="test views, as of tubelet evaluate --views; None: its paper's")
    svm: str | None = Field(None, description="layer on whose descriptors an SVM is fitted too, as a row of its own")

    @model_validator(mode="after")
    def _without_validation(self) -> Self:
        if self.train.validate_every:
            raise ValueError("a fold holds no validation videos out, so validate_every must be 0")
        return self

    @property
    def svm_row(self) -> str | None:
        """Name of the row of its SVM, if it has one."""
        return None if self.svm is None else f"{self.name} {self.svm} + SVM"


class FeaturePlan(BaseModel):
    """Descriptors of a network that learns nothing here: made once for all videos; each fold fits an SVM on them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    model: str
    weights: str = Field("required", description="'required': --weights DIR; else a model folder")
    layer: str
    clip_length: int | None = Field(None, ge=1, description="frames in a clip; None: the network's")
    stride_frames: int | None = Field(
        None, ge=1, description="frames between the starts of clips; None: 8, of single frames every one"
    )
    workers: int = Field(2, ge=1, description="decoding processes")


class TrajectoryPlan(BaseModel):
    """Vectors of improved dense trajectories: every fold learns words or a mixture from those of its training videos,
    and fits an SVM. The trajectories are computed once, whatever is made of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    encoding: str = Field(BAG_OF_WORDS, description="bow or fisher, or with a number: bow1000, fisher64")
    workers: int = Field(2, ge=1, description="processes that follow points")

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            return Encoding.of(value).layer
        except UsageError as error:
            raise ValueError(str(error)) from error


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


class CombinationPlan(BaseModel):
    """One row of the table: an SVM on several descriptors side by side, each of length one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    of: tuple[str, ...] = Field(min_length=2, description="features, trajectories, streams with an SVM of their own")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if len(set(self.of)) < len(self.of):
            raise ValueError("a descriptor is named twice")
        return self


@dataclass(frozen=True)
class SvmRow:
    """One row of the table that a linear SVM makes.

    Attributes
    ----------
    name
        In tables and folders.
    of
        The streams, features and trajectories whose descriptors stand side by side.
    """

    name: str
    of: tuple[str, ...]


class StreamExperiment(BaseModel):
    """Several streams on the same folds of a data set, what SVMs make of descriptors, and fusions and combinations.

    ``folds`` is ``"groups"`` (each group is left out once), a number of folds of whole groups, or ``"official"`` (the
    data set's own training and test part). ``primary`` names the comparison that heads the report: the first minus
    the second, rows of the table.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str = Field(description="papers that it reduces, and which settings are ours")
    dataset: str = Field(description="name in the dataset catalog")
    split: int = Field(1, description="official split, where there are several")
    folds: Literal["groups", "official"] | int = "groups"
    fold_seed: int = Field(0, ge=0, description="of a number of folds; not that of training, so that seeds compare")
    primary: tuple[str, str] | None = None
    streams: tuple[StreamPlan, ...] = ()
    features: tuple[FeaturePlan, ...] = ()
    trajectories: tuple[TrajectoryPlan, ...] = ()
    svm_c: float = Field(1.0, gt=0, description="C of every SVM; the papers do not state theirs")
    fusions: tuple[FusionPlan, ...] = ()
    combinations: tuple[CombinationPlan, ...] = ()

    @field_validator("folds", mode="before")
    @classmethod
    def _known_folds(cls, value: Any) -> Any:
        if value in ("groups", "official") or (isinstance(value, int) and not isinstance(value, bool) and value >= 2):
            return value
        raise ValueError(f"{value!r} is not 'groups', 'official' or a number of folds from 2 on")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if not self.streams and not self.features and not self.trajectories:
            raise ValueError("it has neither streams nor features nor trajectories")
        for name in self.rows:
            if not name.strip():
                raise ValueError("a stream, a feature, trajectories, a fusion or a combination has an empty name")
            if self.rows.count(name) > 1:
                raise ValueError(f"{name!r} names two rows of the table")
        for folder, what in ((PLOTS, "the report's pictures"), (TRAJECTORIES, "the trajectories")):
            if folder in self.rows:
                raise ValueError(f"no row can be called {folder!r}: that folder holds {what}")
        streams, described = [stream.name for stream in self.streams], self.described
        for fusion in self.fusions:
            for name in fusion.streams:
                if name not in streams:
                    known = "; descriptors are joined by [[combinations]]" if name in self.rows else ""
                    raise ValueError(f"the fusion {fusion.name!r} names {name!r}, and the streams are {streams}{known}")
        for combination in self.combinations:
            for name in combination.of:
                if name not in described:
                    why = "has no svm layer" if name in streams else f"is none of {list(described)}"
                    raise ValueError(f"the combination {combination.name!r} names {name!r}, which {why}")
        if self.primary is not None and (unknown := [name for name in self.primary if name not in self.rows]):
            raise ValueError(f"primary names {unknown[0]!r}, and the table's rows are {list(self.rows)}")
        if self.primary is not None and self.primary[0] == self.primary[1]:
            raise ValueError("primary names the same row twice")
        return self

    @property
    def described(self) -> tuple[str, ...]:
        """Names of what has descriptors: streams with an SVM, then features, then trajectories."""
        streams = [one.name for one in self.streams if one.svm is not None]
        return (*streams, *(one.name for one in self.features), *(one.name for one in self.trajectories))

    @property
    def svm_rows(self) -> tuple[SvmRow, ...]:
        """The rows that SVMs make: of each stream that asks for it, each feature, trajectories, then combinations."""
        alone = [SvmRow(one.svm_row, (one.name,)) for one in self.streams if one.svm_row is not None]
        alone += [SvmRow(one.name, (one.name,)) for one in self.features]
        alone += [SvmRow(one.name, (one.name,)) for one in self.trajectories]
        return (*alone, *(SvmRow(one.name, one.of) for one in self.combinations))

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of all rows of the table, in its order: streams, SVMs, fusions of scores."""
        return (
            *(one.name for one in self.streams),
            *(row.name for row in self.svm_rows),
            *(one.name for one in self.fusions),
        )

    def only(self, names: Sequence[str] | None) -> StreamExperiment:
        """The experiment with these streams, features and trajectories, and with all that needs no other.

        Raises
        ------
        UsageError
            A name is none of theirs.
        """
        if names is None:
            return self
        known = [
            *(stream.name for stream in self.streams),
            *(feature.name for feature in self.features),
            *(one.name for one in self.trajectories),
        ]
        if unknown := [name for name in names if name not in known]:
            more = " and descriptors" if len(known) > len(self.streams) else ""
            raise UsageError(
                f"{self.name} has no stream {unknown[0]!r}",
                remedy=f"its streams{more} are {', '.join(known)}",
            )
        given = set(names)
        part = self.model_copy(
            update={
                "streams": tuple(stream for stream in self.streams if stream.name in given),
                "features": tuple(feature for feature in self.features if feature.name in given),
                "trajectories": tuple(one for one in self.trajectories if one.name in given),
                "fusions": tuple(fusion for fusion in self.fusions if set(fusion.streams) <= given),
                "combinations": tuple(one for one in self.combinations if set(one.of) <= given),
            }
        )
        lost = self.primary is None or not set(self.primary) <= set(part.rows)
        return part.model_copy(update={"primary": None if lost else self.primary})


def load_stream_experiment(path: str | Path) -> StreamExperiment:
    """Read the file of a comparison of streams; raises as `tubelet.training.config.load_config`."""
    return load_config(StreamExperiment, path)

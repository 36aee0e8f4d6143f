"""A descriptor table of any kind together with what it says of how it was made."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubelet.descriptors.pooling import FloatArray
from tubelet.descriptors.runner import provenance_of
from tubelet.descriptors.schema import RECORD_COLUMNS, SPAN_COLUMNS, VECTOR_PREFIX, quoted, vector_column
from tubelet.descriptors.store import DescriptorTable
from tubelet.errors import InputDataError, UsageError

MAKING_COLUMNS = ("model", "weights_sha256", "recipe_hash", "sampling", "precision")
"""What decides the numbers, as far as a row says it."""

_BLOCK_ROWS = 4096
_BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, eq=False)
class RowPlaces:
    """Where the rows of a table lie, in the order of ``(video_id, clip_index)``.

    Attributes
    ----------
    video_id
        ``(n,)`` str.
    clip_index
        ``(n,)`` int64; -1 where a row is a whole video.
    start_s, end_s
        ``(n,)`` float64 seconds; NaN where the table does not say.
    start_frame, end_frame
        ``(n,)`` int64; -1 where the table does not say.
    """

    video_id: NDArray[np.str_]
    clip_index: NDArray[np.int64]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    start_frame: NDArray[np.int64]
    end_frame: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.video_id)


class RecordedTable:
    """Read a table of `extract`, or one that was exported from it as Parquet or npz.

    Parameters
    ----------
    path
        The folder of ``extract``; or ``.parquet`` or ``.npz`` with ``video_id`` and ``vector_<layer>``. What a file
        does not say is taken from ``provenance.json`` beside it, which is where ``extract --format`` puts exports.

    Attributes
    ----------
    path
        As given.
    dimensions
        Vector length by layer.
    places
        Its rows.
    videos
        By ``video_id``, sorted: what a row of the video says in the columns of
        `tubelet.descriptors.schema.VideoRecord`, and the provenance where a file lacks a column of the making.
    record
        ``provenance.json``; empty where there is none.
    repeated
        Rows that occur more than once, ``(video_id, clip_index)``; the last one is read.
    whole_videos
        Whether a row is a video's descriptor (mean over clips, then L2), and not a clip's.

    Raises
    ------
    InputDataError
        There is no table, or it cannot be read.
    UsageError
        It is a file of another kind.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._source = _source(self.path)
        self.dimensions = self._source.dimensions
        if not self.dimensions:
            raise InputDataError(
                "the table has no layer", path=self.path, remedy=f"its vectors need columns named {VECTOR_PREFIX}fc6 …"
            )
        self.record = provenance_of(self.path if self.path.is_dir() else self.path.parent)
        columns = self._source.columns([n for n in ("video_id", *SPAN_COLUMNS) if n in self._source.names])
        ids = np.array(columns["video_id"], dtype=str)
        self.whole_videos = "clip_index" not in columns
        index = np.full(len(ids), -1) if self.whole_videos else np.array(columns["clip_index"], dtype=np.int64)
        # Of rows with one key the last one stays: sorting is stable, and a dictionary keeps what came last.
        last = {key: row for row, key in enumerate(zip(ids.tolist(), index.tolist(), strict=True))}
        counts = Counter(zip(ids.tolist(), index.tolist(), strict=True))
        self.repeated = tuple(sorted(key for key, count in counts.items() if count > 1))
        order = np.array([last[key] for key in sorted(last)], dtype=np.int64)

        def taken(name: str, missing: float, kind: type) -> NDArray[Any]:
            return np.array(columns[name], dtype=kind)[order] if name in columns else np.full(len(order), missing, kind)

        self.places = RowPlaces(
            ids[order],
            index[order],
            taken("start_s", np.nan, np.float64),
            taken("end_s", np.nan, np.float64),
            taken("start_frame", -1, np.int64),
            taken("end_frame", -1, np.int64),
        )
        self._place = {key: place for place, key in enumerate(sorted(last))}
        self.videos = self._facts()

    def _facts(self) -> dict[str, dict[str, Any]]:
        """What one row of each video says of it: a table of a million clips has only thousands of videos."""
        made = {name: self.record.get(name) for name in MAKING_COLUMNS}
        found: dict[str, dict[str, Any]] = {}
        for block in self._source.blocks([name for name in RECORD_COLUMNS if name in self._source.names]):
            for row, video_id in enumerate(map(str, _listed(block["video_id"]))):
                if video_id not in found:
                    found[video_id] = {**made, **{name: _value(values[row]) for name, values in block.items()}}
        return dict(sorted(found.items()))

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.places)

    @property
    def name(self) -> str:
        """What to call it: the folder's or file's name."""
        return Path(os.path.abspath(self.path)).name

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers with vectors."""
        return tuple(self.dimensions)

    def values(self, column: str) -> tuple[Any, ...]:
        """The different values of a video's column, the most frequent first."""
        return tuple(value for value, _ in Counter(facts.get(column) for facts in self.videos.values()).most_common())

    def only(self, column: str) -> Any:
        """The value that all videos agree on; None where they do not, or where nothing is said."""
        values = self.values(column)
        return values[0] if len(values) == 1 else None

    def rows_by_video(self) -> dict[str, list[int]]:
        """Places of every video's rows."""
        found: dict[str, list[int]] = {video_id: [] for video_id in self.videos}
        for place, video_id in enumerate(self.places.video_id.tolist()):
            found[video_id].append(place)
        return found

    def vectors(self, layer: str, video_ids: Sequence[str]) -> tuple[NDArray[np.int64], FloatArray]:
        """Vectors of some videos, as stored.

        Returns
        -------
        tuple
            ``(n,)`` places of the rows that have this layer, ascending, and ``(n, D)`` float32.

        Raises
        ------
        UsageError
            The table has no such layer.
        """
        if layer not in self.dimensions:
            raise UsageError(
                f"the table has no layer {layer!r}", path=self.path, remedy=f"it has {', '.join(self.layers)}"
            )
        found: dict[int, FloatArray] = {}
        for ids, index, rows in self._source.vectors(layer, video_ids) if len(video_ids) else ():
            for key, row in zip(zip(ids, index, strict=True), rows, strict=True):
                found[self._place[key]] = row
        places = np.array(sorted(found), dtype=np.int64)
        empty = np.empty((0, self.dimensions[layer]), dtype=np.float32)
        return places, np.stack([found[place] for place in places.tolist()]) if found else empty


class _Source(ABC):
    """Columns of a table, wherever they lie."""

    names: frozenset[str]
    dimensions: dict[str, int]

    @abstractmethod
    def blocks(self, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """These columns as Arrow or NumPy arrays, some rows at a time."""

    def columns(self, names: Sequence[str]) -> dict[str, list[Any]]:
        """All values of these columns."""
        found: dict[str, list[Any]] = {name: [] for name in names}
        for block in self.blocks(names):
            for name in names:
                found[name] += _listed(block[name])
        return found

    @abstractmethod
    def vectors(self, layer: str, video_ids: Sequence[str]) -> Iterator[tuple[list[str], list[int], FloatArray]]:
        """Ids, clip indices (-1 without) and vectors, a block at a time."""


class _Lance(_Source):
    def __init__(self, folder: Path) -> None:
        self._table = DescriptorTable(folder)
        self.names = frozenset(self._table.schema.names)
        self.dimensions = self._table.dimensions

    def blocks(self, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        for batch in self._table.batches(names):
            yield {name: batch.column(name) for name in names}

    def vectors(self, layer: str, video_ids: Sequence[str]) -> Iterator[tuple[list[str], list[int], FloatArray]]:
        column = vector_column(layer)
        where = f"{column} IS NOT NULL AND video_id IN ({quoted(video_ids)})"
        for batch in self._table.batches(("video_id", "clip_index", column), where):
            yield _in_batch(batch, column)


class _Parquet(_Source):
    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path = path
        try:
            self._file = pq.ParquetFile(path)
        except pa.ArrowException as error:
            raise ValueError(str(error)) from error
        schema = self._file.schema_arrow
        self.names = frozenset(schema.names)
        self.dimensions = {}
        if "video_id" not in self.names:
            raise ValueError("it has no column video_id")
        for name in schema.names:
            if name.startswith(VECTOR_PREFIX):
                first = next((row for row in self._lists(name) if row is not None), None)
                if first is not None:
                    self.dimensions[name.removeprefix(VECTOR_PREFIX)] = len(first)

    def blocks(self, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        for batch in self._file.iter_batches(_BLOCK_ROWS, columns=list(names)):
            yield {name: batch.column(name) for name in names}

    def vectors(self, layer: str, video_ids: Sequence[str]) -> Iterator[tuple[list[str], list[int], FloatArray]]:
        import pyarrow as pa
        import pyarrow.compute as pc

        column = vector_column(layer)
        keys = [name for name in ("video_id", "clip_index") if name in self.names]
        wanted = pa.array(list(video_ids), pa.string())
        for batch in self._file.iter_batches(_BLOCK_ROWS, columns=[*keys, column]):
            chosen = pc.is_in(batch.column("video_id").cast(pa.string()), value_set=wanted)
            part = batch.filter(pc.and_(chosen, pc.is_valid(batch.column(column))))
            if len(part):
                yield _in_batch(part, column)

    def _lists(self, name: str) -> Iterator[Any]:
        for batch in self._file.iter_batches(64, columns=[name]):
            yield from batch.column(0).to_pylist()


class _Npz(_Source):
    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as archive:
            self._arrays = {name: archive[name] for name in archive.files}
        if "video_id" not in self._arrays:
            raise ValueError("it has no array video_id")
        n = len(self._arrays["video_id"])
        for name, array in self._arrays.items():
            if len(array) != n or (name.startswith(VECTOR_PREFIX) and array.ndim != 2):
                raise ValueError(f"{name} of shape {array.shape} does not fit {n} rows")
        self.names = frozenset(self._arrays)
        self.dimensions = {
            name.removeprefix(VECTOR_PREFIX): array.shape[1]
            for name, array in self._arrays.items()
            if name.startswith(VECTOR_PREFIX)
        }

    def blocks(self, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        yield {name: self._arrays[name] for name in names}

    def vectors(self, layer: str, video_ids: Sequence[str]) -> Iterator[tuple[list[str], list[int], FloatArray]]:
        ids = self._arrays["video_id"].astype(str)
        rows = np.flatnonzero(np.isin(ids, list(video_ids)))
        index = self._arrays["clip_index"][rows].tolist() if "clip_index" in self.names else [-1] * len(rows)
        yield ids[rows].tolist(), index, self._arrays[vector_column(layer)][rows].astype(np.float32)


_FILES: dict[str, type[_Parquet] | type[_Npz]] = {".parquet": _Parquet, ".npz": _Npz}


def _source(path: Path) -> _Source:
    if path.is_dir():
        return _Lance(path)
    if not path.is_file():
        raise InputDataError("there is no such descriptor table", path=path, remedy="check the spelling of the path")
    kind = _FILES.get(path.suffix.lower())
    if kind is None:
        raise UsageError(
            "this kind of file says nothing of how its descriptors were made",
            path=path,
            remedy=f"give a folder of tubelet extract, or what it exported as {' or '.join(_FILES)}",
        )
    try:
        return kind(path)
    except _BROKEN as error:
        raise InputDataError(
            "the descriptor table cannot be read",
            path=path,
            why=str(error) or type(error).__name__,
            remedy="export it again with tubelet extract --format",
        ) from error


def _in_batch(batch: Any, column: str) -> tuple[list[str], list[int], FloatArray]:
    ids = batch.column("video_id").to_pylist()
    index = batch.column("clip_index").to_pylist() if "clip_index" in batch.schema.names else [-1] * len(ids)
    flat = batch.column(column).flatten().to_numpy(zero_copy_only=False)
    return ids, index, np.asarray(flat, dtype=np.float32).reshape(len(ids), -1)


def _listed(values: Any) -> list[Any]:
    """An Arrow or NumPy array as Python values."""
    return list(values.tolist() if isinstance(values, np.ndarray) else values.to_pylist())


def _value(scalar: Any) -> Any:
    """One value of an Arrow or NumPy array."""
    return scalar.item() if isinstance(scalar, np.generic) else scalar.as_py()


def sampling_values(text: str | None) -> dict[str, Any]:
    """The fields of a row's sampling, which is JSON; empty where there is none."""
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}

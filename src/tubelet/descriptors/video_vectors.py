"""One vector per video from any descriptor table: ours, or npz, Parquet or CSV of any other tool."""

from __future__ import annotations

import csv
import hashlib
import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tubelet.descriptors.padding import padding_note
from tubelet.descriptors.pooling import FloatArray, GroupedMeans, l2_normalize
from tubelet.descriptors.runner import model_source_of, recipe_name_of
from tubelet.descriptors.schema import VECTOR_PREFIX
from tubelet.descriptors.store import DescriptorTable, has_table, table_below
from tubelet.errors import InputDataError, UsageError
from tubelet.failures import read_failures

VIDEO_ID = "video_id"
LABEL = "label"
_PREFERRED = ("fc6", "pool5")  # the papers' descriptors: C3D's, then that of networks without fc6
_PREDICTIONS = frozenset({"prob"})
NO_NETWORK = "no_network"
"""Key of a table's facts, True where no trained network made it: then no other video had a part in it."""
ENCODING = "encoding"
"""Key of a table's facts: how its vectors are learned in each fold, with ``kind``; absent where nothing is learned."""


PADDED = "padded"
"""Key of a table's facts: that videos of it are shorter than a clip, in a sentence; absent where none is."""


class VectorTable(Protocol):
    """What a protocol is given: vectors of videos, which may have to be learned from a fold's training videos first.

    Attributes
    ----------
    name, path, layer, facts, failed
        As those of `VideoVectors`.
    video_ids
        ``(n,)`` str, sorted: the videos that have vectors.
    length
        Numbers of a vector.
    hash
        Hexadecimal SHA-256 of all that the vectors are made from.
    """

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def layer(self) -> str: ...
    @property
    def video_ids(self) -> NDArray[np.str_]: ...
    @property
    def facts(self) -> dict[str, Any]: ...
    @property
    def failed(self) -> dict[str, str]: ...
    @property
    def length(self) -> int: ...
    @property
    def hash(self) -> str: ...

    def for_training(self, video_ids: Sequence[str]) -> VideoVectors:
        """The vectors of all videos as these training videos make them: what has to be learned sees no other."""
        ...


@dataclass(frozen=True, eq=False)
class VideoVectors:
    """A table's vectors, one per video, each of length one: a `VectorTable` that has nothing to learn.

    Attributes
    ----------
    name
        What the table is called in reports.
    path
        Where it lies.
    layer
        Which vectors of it; empty for files without such names.
    video_ids
        ``(n,)`` str, sorted.
    vectors
        ``(n, D)`` float32: mean over the video's rows, then L2; a video of zeros stays zero.
    facts
        What the table says of how it was made, JSON-ready: ``model``, ``weights_sha256``, ``recipe_hash``,
        ``sampling``, ``recipe`` (its name), ``model_source`` (None where unknown); `NO_NETWORK`, `ENCODING`,
        `PADDED`.
    failed
        Why a video is not there, by ``video_id``, as far as the table says.
    notes
        What a reader should know of how they were learned.
    """

    name: str
    path: Path
    layer: str
    video_ids: NDArray[np.str_]
    vectors: FloatArray
    facts: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """Hexadecimal SHA-256 of ids and vectors."""
        digest = hashlib.sha256("\n".join(self.video_ids.tolist()).encode())
        digest.update(np.ascontiguousarray(self.vectors).tobytes())
        return digest.hexdigest()

    @property
    def length(self) -> int:
        """Numbers of a vector."""
        return int(self.vectors.shape[1])

    def for_training(self, video_ids: Sequence[str]) -> VideoVectors:
        """Itself, whichever videos are trained on."""
        return self

    def take(self, video_ids: Sequence[str]) -> FloatArray:
        """Vectors of these videos in this order, ``(len(video_ids), D)``; all must be there."""
        place = {video_id: row for row, video_id in enumerate(self.video_ids.tolist())}
        return self.vectors[[place[video_id] for video_id in video_ids]]


def open_vectors(path: str | os.PathLike[str], layer: str | None = None, name: str | None = None) -> VideoVectors:
    """Read a table of descriptors, one vector per video.

    Parameters
    ----------
    path
        The folder of a table of ours, or a file: ``.npz`` with ``video_id`` ``(n,)`` and one or several arrays
        ``(n, D)``; ``.parquet`` with a column ``video_id`` and columns of lists or of numbers; ``.csv`` with a column
        ``video_id``, all others, but for ``label``, being numbers. Rows of one video are averaged; every vector is then
        scaled to length one.
    layer
        Which layer, array or list column, with or without ``vector_`` in front. None: the only one there is (``prob``
        aside), else fc6, else pool5.
    name
        What to call it; None: the name of the folder or file.

    Raises
    ------
    InputDataError
        There is no table, it has no ``video_id``, or its values are not finite.
    UsageError
        It has no such layer, or several and none is named.
    """
    source = Path(path)
    title = name or source.stem or str(source)
    if source.is_dir():
        if not has_table(source):
            raise InputDataError(
                "there is no descriptor table here",
                path=source,
                remedy=table_below(source) or "make one with tubelet extract, or give a file",
            )
        return _of_table(source, layer, title)
    readers = {".npz": _read_npz, ".parquet": _read_parquet, ".csv": _read_csv}
    if not source.is_file():
        raise InputDataError("there is no such descriptor table", path=source, remedy="check the spelling of the path")
    if source.suffix.lower() not in readers:
        raise UsageError(
            "descriptors of this kind of file are not read",
            path=source,
            remedy=f"give a folder of tubelet extract, or a file that ends in {', '.join(readers)}",
        )
    try:
        ids, arrays = readers[source.suffix.lower()](source)
    except (OSError, ValueError, KeyError, EOFError, StopIteration, *_BROKEN) as error:
        raise InputDataError(
            "the descriptor table cannot be read",
            path=source,
            why=str(error) or type(error).__name__,
            remedy="it needs video_id, one row per video or clip, and numbers",
        ) from error
    chosen = choose_layer(tuple(arrays), layer, source)
    rows = arrays[chosen]
    if rows.ndim != 2 or len(rows) != len(ids) or not rows.shape[1]:
        raise InputDataError(
            "the descriptors do not fit the videos",
            path=source,
            why=f"{chosen or 'numbers'} of shape {rows.shape} for {len(ids)} rows",
            remedy="give one vector per row",
        )
    names, place = np.unique(np.asarray(ids, dtype=str), return_inverse=True)
    means = GroupedMeans(len(names), rows.shape[1])
    means.add(place.tolist(), rows.astype(np.float32))
    return VideoVectors(title, source, chosen, names, require_finite(names, l2_normalize(means.means()), source))


_BROKEN = (zipfile.BadZipFile, zlib.error)


def _of_table(folder: Path, layer: str | None, title: str) -> VideoVectors:
    table = DescriptorTable(folder)
    chosen = choose_layer(table.layers, layer, folder)
    videos = table.videos(chosen)
    vectors = require_finite(videos.video_id, videos.vectors, folder)
    return VideoVectors(title, folder, chosen, videos.video_id, vectors, table_facts(table), read_failures(folder))


def table_facts(table: DescriptorTable) -> dict[str, Any]:
    """What a table of ours says of how it was made, see `VideoVectors`."""
    columns = ("model", "weights_sha256", "recipe_hash", "sampling")
    facts: dict[str, Any] = {column: table.only(column) for column in columns}
    facts |= {"recipe": recipe_name_of(table.folder), "model_source": model_source_of(table.folder)}
    padded = padding_note(table)
    return facts if padded is None else facts | {PADDED: padded}


def choose_layer(layers: Sequence[str], wanted: str | None, path: Path) -> str:
    """The layer that is asked for; None: the only one there is (``prob`` aside), else fc6, else pool5.

    Raises
    ------
    UsageError
        There is no such layer, or there are several and none is asked for.
    """
    plain = {name.removeprefix(VECTOR_PREFIX): name for name in layers}
    if wanted is not None:
        found = plain.get(wanted.removeprefix(VECTOR_PREFIX))
        if found is None:
            raise UsageError(
                f"the table has no layer {wanted!r}", path=path, remedy=f"it has {', '.join(plain) or 'one unnamed'}"
            )
        return found
    own = [name for name in plain if name not in _PREDICTIONS] or list(plain)
    for name in own if len(own) == 1 else _PREFERRED:
        if name in plain:
            return plain[name]
    raise UsageError(
        "the table has several layers",
        path=path,
        remedy=f"name one with --layer: {', '.join(plain) or 'none is there'}",
    )


def _read_npz(path: Path) -> tuple[Sequence[str], dict[str, NDArray[Any]]]:
    with np.load(path, allow_pickle=False) as archive:
        ids = [str(each) for each in archive[VIDEO_ID]]
        named = [name for name in archive.files if name.startswith(VECTOR_PREFIX)]
        arrays = {name: archive[name] for name in named or archive.files if name != VIDEO_ID}
    return ids, {name: array for name, array in arrays.items() if array.ndim == 2 and array.dtype.kind in "fiu"}


def _read_parquet(path: Path) -> tuple[Sequence[str], dict[str, NDArray[Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error
    ids = [str(each) for each in table.column(VIDEO_ID).to_pylist()]
    lists: dict[str, NDArray[Any]] = {}
    numbers: list[NDArray[Any]] = []
    for column in table.schema:
        kind = column.type
        if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            rows = table.column(column.name).to_pylist()
            lists[column.name] = np.array(rows, dtype=np.float64)  # of unequal length: ValueError
        elif column.name != LABEL and (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            numbers.append(table.column(column.name).to_numpy())
    return ids, lists or {"": np.stack(numbers, axis=1)}


def _read_csv(path: Path) -> tuple[Sequence[str], dict[str, NDArray[Any]]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        heading = next(rows)
        if VIDEO_ID not in heading:
            raise ValueError("the first line has no video_id")
        column = heading.index(VIDEO_ID)
        numbers = [place for place, name in enumerate(heading) if name not in (VIDEO_ID, LABEL)]
        ids, values = [], []
        for row in rows:
            if len(row) != len(heading):
                raise ValueError(f"line {rows.line_num} has {len(row)} cells, not {len(heading)}")
            ids.append(row[column])
            values.append(np.array([row[place] for place in numbers], dtype=np.float32))
    return ids, {"": np.stack(values)}


def require_finite(video_ids: NDArray[np.str_], vectors: FloatArray, path: Path) -> FloatArray:
    """The vectors, if they are finite.

    Raises
    ------
    InputDataError
        One is not; it says of which video.
    """
    finite = np.isfinite(vectors).all(1)
    if not finite.all():
        raise InputDataError(
            "a descriptor is not finite",
            path=path,
            why=f"NaN or infinity in {video_ids[finite.argmin()]}",
            remedy="extract it again",
        )
    return vectors

"""The descriptor table: one row per clip, in a folder that LanceDB can open.

The folder is a LanceDB database with one table, ``descriptors``;
``lancedb.connect(folder).open_table("descriptors")`` reads it without this package. Rows of a video appear
all at once or not at all (see :mod:`tubelet.descriptors.writer`). LanceDB is imported when a table is opened:
it costs 0.1 GB of memory and a second.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tubelet.descriptors.pooling import FloatArray, GroupedMeans, l2_normalize
from tubelet.descriptors.schema import quoted, schema_dimensions, vector_column, vectors_in
from tubelet.errors import InputDataError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

TABLE_NAME = "descriptors"
TABLE_FOLDER = f"{TABLE_NAME}.lance"

# Facts of a video that decide whether its rows are still right.
_STATE_COLUMNS = (
    "video_id", "model", "weights_sha256", "recipe_hash", "sampling", "precision", "fps", "fps_source",
    "frames_decoded", "decode_status", "file_size", "file_mtime_ns", "content_sha256",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ClipTable:
    """One layer's vectors of all clips, in the order of ``(video_id, clip_index)``.

    Attributes
    ----------
    video_id, path
        ``(n,)`` str.
    clip_index
        ``(n,)`` int32.
    start_frame, end_frame
        ``(n,)`` int64, ``end_frame`` exclusive.
    start_s, end_s
        ``(n,)`` float64 seconds.
    padded
        ``(n,)`` bool, true where frames were repeated because the video is shorter than a clip.
    vectors
        ``(n, D)`` float32, as extracted.
    """

    video_id: NDArray[np.str_]
    path: NDArray[np.str_]
    clip_index: NDArray[np.int32]
    start_frame: NDArray[np.int64]
    end_frame: NDArray[np.int64]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    padded: NDArray[np.bool_]
    vectors: FloatArray


@dataclass(frozen=True, eq=False)
class VideoTable:
    """One layer's video descriptors (mean over clips, then L2), in the order of ``video_id``.

    Attributes
    ----------
    video_id, path
        ``(n,)`` str.
    label
        ``(n,)`` class names; None where unknown.
    start_s, end_s
        ``(n,)`` float64: from the first clip's start to the last clip's end.
    n_clips
        ``(n,)`` int64.
    vectors
        ``(n, D)`` float32, length one.
    """

    video_id: NDArray[np.str_]
    path: NDArray[np.str_]
    label: tuple[str | None, ...]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    n_clips: NDArray[np.int64]
    vectors: FloatArray

    def take(self, video_ids: Sequence[str]) -> FloatArray:
        """Vectors of these videos in this order, ``(len(video_ids), D)``.

        Raises
        ------
        InputDataError
            If one of them is not in the table.
        """
        position = {str(video_id): index for index, video_id in enumerate(self.video_id)}
        missing = [video_id for video_id in video_ids if video_id not in position]
        if missing:
            raise InputDataError(
                f"{len(missing)} videos have no descriptors, among them {missing[0]}",
                remedy="extract them first; failed.jsonl lists those that could not be read",
            )
        return self.vectors[[position[video_id] for video_id in video_ids]]


class DescriptorTable:
    """Read a descriptor table.

    Parameters
    ----------
    folder
        What ``extract`` was given as output.

    Raises
    ------
    InputDataError
        If there is no table, or it cannot be opened.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if not has_table(self.folder):
            raise InputDataError(
                "there is no descriptor table here",
                path=self.folder,
                remedy=table_below(self.folder) or "make one with tubelet extract",
            )
        self._table = open_lance(self.folder)

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema."""
        return self._table.schema

    @property
    def dimensions(self) -> dict[str, int]:
        """Vector length by layer."""
        return schema_dimensions(self.schema)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that have a column."""
        return tuple(self.dimensions)

    def __len__(self) -> int:
        """Number of rows (clips)."""
        return int(self._table.count_rows())

    def batches(self, columns: Sequence[str], where: str | None = None) -> Iterator[pa.RecordBatch]:
        """Rows of these columns, a batch at a time, in no particular order; ``where`` is SQL."""
        query = self._table.search().select(list(columns))
        if where is not None:
            query = query.where(where)
        for batch in query.to_batches():
            # LanceDB may append columns of its own making; only those asked for go on.
            yield batch.select(list(columns))

    def rows(self, columns: Sequence[str], where: str | None = None) -> dict[str, list[Any]]:
        """The same, all at once, as Python lists by column."""
        found: dict[str, list[Any]] = {column: [] for column in columns}
        for batch in self.batches(columns, where):
            for column in columns:
                found[column].extend(batch.column(column).to_pylist())
        return found

    def clip_counts(self) -> Counter[str]:
        """Number of rows of each video."""
        counts: Counter[str] = Counter()
        for batch in self.batches(["video_id"]):
            counts.update(batch.column("video_id").to_pylist())
        return counts

    def states(self) -> dict[str, dict[str, Any]]:
        """By ``video_id``: what its first row says of how and from what it was made."""
        rows = self.rows(_STATE_COLUMNS, "clip_index = 0")
        return {
            video_id: {column: rows[column][index] for column in _STATE_COLUMNS}
            for index, video_id in enumerate(rows["video_id"])
        }

    def without(self, layers: Sequence[str]) -> set[str]:
        """Videos that lack one of these layers (which must have a column)."""
        if not layers:
            return set()
        lacking = " OR ".join(f"{vector_column(layer)} IS NULL" for layer in layers)
        return set(self.rows(["video_id"], f"clip_index = 0 AND ({lacking})")["video_id"])

    def clips(
        self,
        layer: str,
        video_ids: Sequence[str] | None = None,
        draw: Callable[[int], NDArray[np.int64]] | None = None,
    ) -> ClipTable:
        """All clips that have this layer (or those of some videos): memory for the vectors, once.

        ``draw`` is told how many there are and says which of them, counted in order, it wants; only their vectors are
        kept.
        """
        where = self._where(layer, video_ids)
        keys = self.rows(["video_id", "path", "clip_index", "start_frame", "end_frame", "padded"], where)
        order = np.lexsort((np.asarray(keys["clip_index"]), np.asarray(keys["video_id"], dtype=str)))
        if draw is not None:
            order = order[draw(len(order))]
        place = {
            (keys["video_id"][row], keys["clip_index"][row]): position for position, row in enumerate(order.tolist())
        }
        n = len(place)
        vectors = np.empty((n, self.dimensions[layer]), dtype=np.float32)
        times = np.empty((n, 2))
        for batch in self.batches(["video_id", "clip_index", "start_s", "end_s", vector_column(layer)], where):
            ids, clip_index = batch.column("video_id").to_pylist(), batch.column("clip_index").to_pylist()
            to = np.array([place.get(key, -1) for key in zip(ids, clip_index, strict=True)])
            kept = to >= 0
            if kept.any():
                vectors[to[kept]] = vectors_in(batch, layer)[kept]
                times[to[kept], 0] = batch.column("start_s").to_numpy()[kept]
                times[to[kept], 1] = batch.column("end_s").to_numpy()[kept]
        return ClipTable(
            video_id=np.array([keys["video_id"][row] for row in order], dtype=str),
            path=np.array([keys["path"][row] for row in order], dtype=str),
            clip_index=np.array([keys["clip_index"][row] for row in order], dtype=np.int32),
            start_frame=np.array(keys["start_frame"], dtype=np.int64)[order],
            end_frame=np.array(keys["end_frame"], dtype=np.int64)[order],
            start_s=times[:, 0],
            end_s=times[:, 1],
            padded=np.array(keys["padded"], dtype=np.bool_)[order],
            vectors=vectors,
        )

    def videos(self, layer: str, video_ids: Sequence[str] | None = None) -> VideoTable:
        """Descriptors of all videos (or of some); memory grows with the number of videos, not of clips."""
        where = self._where(layer, video_ids)
        firsts = self.rows(["video_id", "path", "label"], f"clip_index = 0 AND {where}")
        order = sorted(range(len(firsts["video_id"])), key=lambda row: str(firsts["video_id"][row]))
        ids = [str(firsts["video_id"][row]) for row in order]
        place = {video_id: position for position, video_id in enumerate(ids)}
        means = GroupedMeans(len(ids), self.dimensions[layer])
        start, end = np.full(len(ids), np.inf), np.full(len(ids), -np.inf)
        for batch in self.batches(["video_id", "start_s", "end_s", vector_column(layer)], where):
            rows = [place[video_id] for video_id in batch.column("video_id").to_pylist()]
            means.add(rows, vectors_in(batch, layer))
            np.minimum.at(start, rows, batch.column("start_s").to_numpy())
            np.maximum.at(end, rows, batch.column("end_s").to_numpy())
        return VideoTable(
            video_id=np.array(ids, dtype=str),
            path=np.array([firsts["path"][row] for row in order], dtype=str),
            label=tuple(firsts["label"][row] for row in order),
            start_s=start,
            end_s=end,
            n_clips=means.counts,
            vectors=l2_normalize(means.means()),
        )

    def only(self, column: str) -> str | None:
        """The value of a text column where all rows agree on one, e.g. ``weights_sha256``; else None."""
        values = set(self.rows([column], "clip_index = 0")[column])
        return str(values.pop()) if len(values) == 1 else None

    def _where(self, layer: str, video_ids: Sequence[str] | None) -> str:
        if layer not in self.dimensions:
            raise UsageError(
                f"the table has no layer {layer!r}",
                path=self.folder,
                remedy=f"it has {', '.join(self.layers)}; extract the layer with --layers {layer}",
            )
        present = f"{vector_column(layer)} IS NOT NULL"
        return present if video_ids is None else f"{present} AND video_id IN ({quoted(video_ids)})"


def has_table(folder: str | os.PathLike[str]) -> bool:
    """Whether a descriptor table lies in this folder."""
    return (Path(folder) / TABLE_FOLDER).is_dir()


def table_below(folder: str | os.PathLike[str]) -> str:
    """Advice for who gave a run's folder instead of the table in it, ``give RUN/descriptors``; empty without one."""
    below = sorted(found.parent for found in Path(folder).glob(f"*/{TABLE_FOLDER}"))
    return f"give {' or '.join(map(str, below[:3]))}, where there is one" if below else ""


def open_lance(folder: str | os.PathLike[str]) -> Any:
    """The LanceDB table of this folder.

    Raises
    ------
    InputDataError
        If LanceDB cannot open it.
    """
    import lancedb

    try:
        return lancedb.connect(os.fspath(folder)).open_table(TABLE_NAME)
    except (RuntimeError, ValueError, OSError) as error:
        raise InputDataError(
            "the descriptor table cannot be opened",
            path=Path(folder) / TABLE_FOLDER,
            why=str(error).splitlines()[0],
            remedy="extract again into another folder",
        ) from error

"""What a map shows: the videos or clips of a table, each with its vector, its label and its time."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubelet.baselines.tables import open_table
from tubelet.descriptors.pooling import FloatArray, l2_normalize
from tubelet.descriptors.store import DescriptorTable, has_table
from tubelet.descriptors.video_vectors import LABEL, VIDEO_ID, choose_layer, require_finite, table_facts
from tubelet.errors import InputDataError, UsageError


@dataclass(frozen=True, eq=False)
class MapPoints:
    """Points that are about to be laid out, in the order of ``(video_id, clip)``.

    Attributes
    ----------
    path
        Where the table lies.
    layer
        Which vectors of it; empty for files without such names.
    video_id
        ``(n,)`` str.
    clip
        ``(n,)`` index of the clip in its video; None where points are whole videos.
    start_s, end_s
        ``(n,)`` float64 seconds; None where the table does not know times.
    file
        ``(n,)`` str, where each video lies; None where the table does not know.
    label
        ``(n,)`` class names; None where unknown.
    vectors
        ``(n, D)`` float32 of length one; a vector of zeros stays zero.
    total
        How many points the table holds: more than n after a draw.
    labels_from
        Where the labels are from, in words; empty without labels.
    facts
        What the table says of how it was made, JSON-ready.
    """

    path: Path
    layer: str
    video_id: NDArray[np.str_]
    clip: NDArray[np.int32] | None
    start_s: NDArray[np.float64] | None
    end_s: NDArray[np.float64] | None
    file: NDArray[np.str_] | None
    label: tuple[str | None, ...]
    vectors: FloatArray
    total: int
    labels_from: str
    facts: dict[str, Any]

    def __len__(self) -> int:
        return len(self.video_id)

    @property
    def name(self) -> str:
        """What the table is called: its file or folder, of a run's table the run."""
        return (self.path.parent if self.path.stem == "descriptors" else self.path).stem or "table"

    @property
    def unit(self) -> str:
        """``video`` or ``clip``."""
        return "video" if self.clip is None else "clip"

    @property
    def known(self) -> NDArray[np.bool_]:
        """``(n,)``: which points have a label."""
        return np.array([label is not None for label in self.label], dtype=np.bool_)

    def with_labels(self, labels: Mapping[str, str | None], labels_from: str) -> MapPoints:
        """The same points labeled by ``video_id``; videos that are not named lose their label.

        Raises
        ------
        InputDataError
            Not one of the videos is named.
        """
        found = tuple(labels.get(video_id) for video_id in self.video_id.tolist())
        if not any(label is not None for label in found):
            raise InputDataError(
                f"none of the table's videos has a label in {labels_from}",
                path=self.path,
                why=f"it has {self.video_id[0]}, there is {next(iter(labels), 'none')}",
                remedy="give the folder that the table was extracted from",
            )
        return replace(self, label=found, labels_from=labels_from)

    def of(self, rows: NDArray[np.int64]) -> MapPoints:
        """Some of the points."""
        return replace(
            self,
            video_id=self.video_id[rows],
            clip=None if self.clip is None else self.clip[rows],
            start_s=None if self.start_s is None else self.start_s[rows],
            end_s=None if self.end_s is None else self.end_s[rows],
            file=None if self.file is None else self.file[rows],
            label=tuple(self.label[row] for row in rows.tolist()),
            vectors=self.vectors[rows],
        )


def read_points(
    path: str | os.PathLike[str],
    layer: str | None = None,
    *,
    clips: bool = False,
    limit: int | None = None,
    seed: int = 0,
) -> MapPoints:
    """Read what is to be mapped.

    Parameters
    ----------
    path, layer
        As for `tubelet.baselines.tables.open_table`. Labels are the table's column ``label``. What has to be
        learned from trajectories is learned from all of the table's videos.
    clips
        A point for each clip instead of each video; for tables of ours. Clips are scaled to length one, too, so that
        distance means the same as in ``tubelet search``.
    limit, seed
        Draw so many points at random; None takes all.

    Raises
    ------
    InputDataError
        The table cannot be read, or a descriptor is not finite.
    UsageError
        There is no such layer, or ``clips`` of a file that has no clips.
    """
    source = Path(path)
    if has_table(source):
        return _of_clips(source, layer, limit, seed) if clips else _drawn(_of_videos(source, layer), limit, seed)
    table = open_table(source, layer)
    if clips:
        raise UsageError(
            "only a network's table of tubelet extract tells clips apart",
            path=source,
            remedy="leave --clips away to map videos",
        )
    found = table.for_training(table.video_ids.tolist())
    known = _labels_in(source)
    label = tuple(known.get(video_id) for video_id in found.video_ids.tolist())
    nothing = dict.fromkeys(("clip", "start_s", "end_s", "file"))
    points = MapPoints(
        path=found.path,
        layer=found.layer,
        video_id=found.video_ids,
        label=label,
        vectors=found.vectors,
        total=len(label),
        labels_from="",
        facts=found.facts,
        **nothing,
    )
    return _drawn(_with_source(points), limit, seed)


def draw_rows(n: int, limit: int | None, seed: int) -> NDArray[np.int64]:
    """``limit`` of ``n`` rows, drawn without replacement, in order; all where ``limit`` is None or not below ``n``."""
    if limit is None or limit >= n:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, limit, replace=False))


def _drawn(points: MapPoints, limit: int | None, seed: int) -> MapPoints:
    rows = draw_rows(len(points), limit, seed)
    return points if len(rows) == len(points) else points.of(rows)


def _of_videos(folder: Path, layer: str | None) -> MapPoints:
    table = DescriptorTable(folder)
    chosen = choose_layer(table.layers, layer, folder)
    found = table.videos(chosen)
    require_finite(found.video_id, found.vectors, folder)
    return _with_source(
        MapPoints(
            folder,
            chosen,
            found.video_id,
            None,
            found.start_s,
            found.end_s,
            found.path,
            tuple(label or None for label in found.label),
            found.vectors,
            len(found.video_id),
            "",
            table_facts(table),
        )
    )


def _of_clips(folder: Path, layer: str | None, limit: int | None, seed: int) -> MapPoints:
    table = DescriptorTable(folder)
    chosen = choose_layer(table.layers, layer, folder)
    total = 0

    def draw(n: int) -> NDArray[np.int64]:
        nonlocal total
        total = n
        return draw_rows(n, limit, seed)

    found = table.clips(chosen, draw=draw)
    require_finite(found.video_id, found.vectors, folder)
    for start in range(0, len(found.vectors), 4096):  # in place: 100,000 of fc6 fill 1.6 GB
        found.vectors[start : start + 4096] = l2_normalize(found.vectors[start : start + 4096])
    videos = table.rows([VIDEO_ID, LABEL], "clip_index = 0")
    labels = dict(zip(videos[VIDEO_ID], videos[LABEL], strict=True))
    return _with_source(
        MapPoints(
            folder,
            chosen,
            found.video_id,
            found.clip_index,
            found.start_s,
            found.end_s,
            found.path,
            tuple(labels.get(video_id) or None for video_id in found.video_id.tolist()),
            found.vectors,
            total,
            "",
            table_facts(table),
        )
    )


def _with_source(points: MapPoints) -> MapPoints:
    if not len(points):
        raise InputDataError("the table has no rows to map", path=points.path, remedy="extract descriptors first")
    return replace(points, labels_from="the table" if points.known.any() else "")


def _labels_in(path: Path) -> dict[str, str]:
    """The labels that a file of vectors holds beside them, by ``video_id``."""
    suffix = path.suffix.lower()
    if suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            if LABEL not in archive.files or archive[LABEL].shape != archive[VIDEO_ID].shape:
                return {}
            pairs = [(str(i), str(label)) for i, label in zip(archive[VIDEO_ID], archive[LABEL], strict=True)]
    elif suffix == ".parquet":
        import pyarrow.parquet as pq

        if LABEL not in pq.read_schema(path).names:
            return {}
        rows = pq.read_table(path, columns=[VIDEO_ID, LABEL])
        columns = (rows.column(VIDEO_ID).to_pylist(), rows.column(LABEL).to_pylist())
        pairs = [(str(i), "" if label is None else str(label)) for i, label in zip(*columns, strict=True)]
    elif suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            pairs = [(row[VIDEO_ID], row.get(LABEL) or "") for row in csv.DictReader(file)]
    else:
        return {}
    return {video_id: label for video_id, label in pairs if label}

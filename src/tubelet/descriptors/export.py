"""The descriptor table in formats that other tools read; nothing is pickled."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tubelet.artifacts import write_atomically, write_text
from tubelet.descriptors.pooling import FloatArray
from tubelet.descriptors.schema import vector_column
from tubelet.descriptors.store import ClipTable, DescriptorTable, VideoTable
from tubelet.errors import InputDataError, UsageError

Format = Literal["npz", "npy", "parquet", "projector"]
Level = Literal["clip", "video"]

FORMATS: tuple[Format, ...] = ("npz", "npy", "parquet", "projector")


def export(
    table: DescriptorTable | str | os.PathLike[str],
    out: str | os.PathLike[str],
    format: Format = "npz",
    *,
    level: Level = "clip",
) -> list[Path]:
    """Write all layers of a table in another format.

    Parameters
    ----------
    table
        The table or its folder.
    out
        For ``npz`` and ``parquet`` the file; for ``npy`` and ``projector`` a folder.
    format
        - ``npz``: one file with ``vector_<layer>`` ``(n, D)`` float32 and ``video_id, path, clip_index,
        start_s,
          end_s`` (unicode arrays, so ``allow_pickle`` stays off);
        - ``npy``: ``vector_<layer>.npy`` and ``rows.csv`` with the same columns;
        - ``parquet``: all columns of the table, streamed (clips only);
        - ``projector``: ``<layer>.tsv`` and ``metadata.tsv`` for the TensorBoard embedding projector.
    level
        ``"clip"``, or ``"video"``: mean over clips, then L2.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    UsageError
        For an unknown format or level, or parquet of videos.
    InputDataError
        If there is no table, or layers of it cover different videos.
    """
    source = table if isinstance(table, DescriptorTable) else DescriptorTable(table)
    if format not in FORMATS:
        raise UsageError(f"there is no export format {format!r}", remedy=f"use one of {', '.join(FORMATS)}")
    if level not in ("clip", "video"):
        raise UsageError(f"there is no level {level!r}", remedy="use clip or video")
    target = Path(out)
    if format == "parquet":
        if level == "video":
            raise UsageError("parquet holds the table's rows, which are clips", remedy="use npz for videos")
        return [write_atomically(target, partial(_fill_parquet, source))]
    columns, vectors = _gather(source, level)
    if format == "npz":
        named = {vector_column(layer): rows for layer, rows in vectors.items()}
        return [write_atomically(target, lambda file: _fill_npz(file, {**columns, **named}))]
    if format == "npy":
        files = [
            write_atomically(target / f"{vector_column(layer)}.npy", partial(_fill_npy, rows))
            for layer, rows in vectors.items()
        ]
        return [*files, write_text(target / "rows.csv", _table_text(columns, ","))]
    files = [write_atomically(target / f"{layer}.tsv", partial(_fill_tsv, rows)) for layer, rows in vectors.items()]
    return [*files, write_text(target / "metadata.tsv", _table_text(columns, "\t"))]


def _gather(table: DescriptorTable, level: Level) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, FloatArray]]:
    read: Callable[[str], ClipTable | VideoTable] = table.clips if level == "clip" else table.videos
    parts = {layer: read(layer) for layer in table.layers}
    first = next(iter(parts.values()))
    for layer, part in parts.items():
        if not np.array_equal(part.video_id, first.video_id):
            raise InputDataError(
                f"not all videos of the table have the layer {layer}",
                path=table.folder,
                remedy="extract all layers again, in one run",
            )
    columns: dict[str, np.ndarray[Any, Any]] = {"video_id": first.video_id, "path": first.path}
    if isinstance(first, ClipTable):
        columns["clip_index"] = first.clip_index
    else:
        columns["label"] = np.array([label or "" for label in first.label], dtype=str)
    columns |= {"start_s": first.start_s, "end_s": first.end_s}
    return columns, {layer: part.vectors for layer, part in parts.items()}


def _fill_npz(file: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    with file.open("wb") as handle:  # given a name, savez would append .npz to it
        np.savez(handle, allow_pickle=False, **arrays)


def _fill_npy(rows: FloatArray, file: Path) -> None:
    with file.open("wb") as handle:
        np.save(handle, rows, allow_pickle=False)


def _fill_tsv(rows: FloatArray, file: Path) -> None:
    with file.open("w", encoding="utf-8", newline="\n") as handle:
        for row in rows:
            handle.write("\t".join(format(value, ".8g") for value in row.tolist()) + "\n")


def _fill_parquet(table: DescriptorTable, file: Path) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(file, table.schema) as writer:
        for batch in table.batches(table.schema.names):
            writer.write_batch(batch)


def _table_text(columns: Mapping[str, np.ndarray[Any, Any]], delimiter: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    return text.getvalue()

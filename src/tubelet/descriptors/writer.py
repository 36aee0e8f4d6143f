"""Writing the descriptor table so that kill -9 at any moment loses no acknowledged row and leaves no half
video.

A commit is one new version of the Lance table: the rows of all its videos become visible together, when its
manifest is put in place by a rename, or not at all. Rows that replace older ones of the same clip are merged
in the same commit; only surplus old rows (the video has fewer clips than before) are deleted in a commit of
their own, before.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from tubelet.artifacts import lock_folder, sync_folder
from tubelet.descriptors.schema import (
    VideoRecord,
    quoted,
    record_batch,
    schema_dimensions,
    table_schema,
    vector_field,
)
from tubelet.descriptors.spool import BLOCK_BYTES, RowSpool
from tubelet.descriptors.store import TABLE_FOLDER, TABLE_NAME, has_table, open_lance
from tubelet.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

_NEW_FOLDER = ".new"

# Many small commits make many small files; a scan opens each of them.
_COMPACT_FROM_FRAGMENTS = 8
# A reader that opened an older version may still be at it when the files of that version would go.
_KEEP_OLD_VERSIONS = timedelta(hours=1)


@dataclass(frozen=True, eq=False)
class FinishedVideo:
    """All rows of one video, ready to be committed."""

    record: VideoRecord
    rows: RowSpool


class TableWriter:
    """The one process that writes a table; use it as a context manager.

    Parameters
    ----------
    folder
        Where the table is or will be.
    dimensions
        Vector length by layer. A layer that the table does not have yet becomes a new column, null in older
        rows.

    Raises
    ------
    UsageError
        If another process is writing this table, or a layer of the table has vectors of another length.
    """

    def __init__(self, folder: str | os.PathLike[str], dimensions: Mapping[str, int]) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        # On Windows, without such locks, LanceDB's own conflict detection remains.
        self._lock = lock_folder(
            self.folder,
            UsageError(
                "another process is writing this table",
                path=self.folder,
                remedy="wait until it is done, or extract into another folder",
            ),
        )
        try:
            if not has_table(self.folder):
                _create(self.folder, table_schema(dimensions))
            self._table = open_lance(self.folder)
            self._add_layers(dimensions)
        except BaseException:
            self.close()
            raise
        self._on_disk: set[Path] = set()
        self._sync()

    def commit(self, videos: Sequence[FinishedVideo], replaced: Mapping[str, int] | None = None) -> int:
        """Put videos into the table; when this returns, their rows are on disk and stay.

        Parameters
        ----------
        videos
            Each at most once.
        replaced
            By ``video_id``: how many rows the table already has of it.

        Returns
        -------
        int
            Rows committed.
        """
        import pyarrow as pa

        if not videos:
            return 0
        old = {video.record.video_id: (replaced or {}).get(video.record.video_id, 0) for video in videos}
        for video in videos:
            if old[video.record.video_id] > len(video.rows):
                self._table.delete(
                    f"video_id IN ({quoted([video.record.video_id])}) AND clip_index >= {len(video.rows)}"
                )
        schema = self._table.schema
        reader = pa.RecordBatchReader.from_batches(schema, _batches(schema, videos))
        if any(old.values()):
            merge = self._table.merge_insert(["video_id", "clip_index"])
            merge.when_matched_update_all().when_not_matched_insert_all().execute(reader)
        else:
            self._table.add(reader)
        self._sync()
        return sum(len(video.rows) for video in videos)

    def compact(self) -> None:
        """Join small files and drop versions older than an hour; rows stay as they are."""
        if int(self._table.stats()["fragment_stats"]["num_fragments"]) >= _COMPACT_FROM_FRAGMENTS:
            # The lock says that nobody else writes, so files of unfinished commits are leftovers of a kill.
            self._table.optimize(cleanup_older_than=_KEEP_OLD_VERSIONS, delete_unverified=True)
            self._sync()

    def close(self) -> None:
        """Let other processes write."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _add_layers(self, dimensions: Mapping[str, int]) -> None:
        present = schema_dimensions(self._table.schema)
        for layer, dimension in dimensions.items():
            if present.get(layer, dimension) != dimension:
                raise UsageError(
                    f"the table has {layer} vectors of {present[layer]} values, this model gives {dimension}",
                    path=self.folder,
                    remedy="extract into another folder",
                )
        missing = [vector_field(layer, size) for layer, size in dimensions.items() if layer not in present]
        if missing:
            self._table.add_columns(missing)

    def _sync(self) -> None:
        """Flush the files that LanceDB wrote since last time: it renames, but does not flush."""
        current = {file for file in (self.folder / TABLE_FOLDER).rglob("*") if file.is_file()}
        for file in current - self._on_disk:
            with suppress(OSError):
                descriptor = os.open(file, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        for folder in {file.parent for file in current - self._on_disk}:
            sync_folder(folder)
        self._on_disk = current


def _batches(schema: pa.Schema, videos: Sequence[FinishedVideo]) -> Iterator[pa.RecordBatch]:
    """All rows in batches of a few megabytes: LanceDB takes a millisecond per batch, however small."""
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    nbytes = 0
    for video in videos:
        for spans, vectors in video.rows.blocks():
            waiting.append(record_batch(schema, video.record, spans, vectors))
            nbytes += waiting[-1].nbytes
            if nbytes >= BLOCK_BYTES:
                yield pa.concat_batches(waiting)
                waiting, nbytes = [], 0
    if waiting:
        yield pa.concat_batches(waiting)


def _create(folder: Path, schema: pa.Schema) -> None:
    """Make an empty table beside its place and put it there by a rename: a table is never half made."""
    import lancedb

    new = folder / _NEW_FOLDER
    shutil.rmtree(new, ignore_errors=True)
    lancedb.connect(os.fspath(new)).create_table(TABLE_NAME, schema=schema)
    os.replace(new / TABLE_FOLDER, folder / TABLE_FOLDER)
    shutil.rmtree(new, ignore_errors=True)
    sync_folder(folder)

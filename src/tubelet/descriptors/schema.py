"""The columns of the descriptor table, and how rows are put into them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from tubelet.descriptors.pooling import FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

VECTOR_PREFIX = "vector_"


@dataclass(frozen=True)
class ClipSpan:
    """Where a clip lies in its video; the fields are the columns of the descriptor table."""

    clip_index: int
    start_frame: int
    end_frame: int
    start_s: float
    end_s: float
    padded: bool


@dataclass(frozen=True)
class VideoRecord:
    """What is the same in all rows of one video; the fields are columns of the table.

    Attributes
    ----------
    video_id
        POSIX path relative to the data root (with ``#t=start,end`` for a span of a video).
    path
        Where the file lay when it was described.
    label
        Its class, where known.
    fps, fps_source
        Frame rate and where it comes from: ``"container"``, ``"given"``, ``"assumed"``.
    model, weights_sha256
        Name and weights of the network; ``untrained:<seed>`` for a network that was never trained.
    recipe_hash
        Hash of what was done to the pixels.
    sampling
        How clips were cut, as JSON.
    precision
        ``"float32"`` or ``"bfloat16"``.
    decode_status
        ``"ok"``, or ``"partial"`` where frames were lost.
    frames_declared, frames_decoded
        What the container claims (None where it claims nothing) and what came out.
    file_size, file_mtime_ns, content_sha256
        What was read, the video or its stored flow, to see later whether it changed.
    tool_version
        Version of this package.
    """

    video_id: str
    path: str
    label: str | None
    fps: float
    fps_source: str
    model: str
    weights_sha256: str
    recipe_hash: str
    sampling: str
    precision: str
    decode_status: str
    frames_declared: int | None
    frames_decoded: int
    file_size: int
    file_mtime_ns: int
    content_sha256: str
    tool_version: str


RECORD_COLUMNS = tuple(field.name for field in fields(VideoRecord))
SPAN_COLUMNS = tuple(field.name for field in fields(ClipSpan))

# The order of DESIGN.md; the vector columns stand after ``padded``.
_BEFORE_VECTORS = (
    "video_id", "path", "clip_index", "start_frame", "end_frame", "start_s", "end_s",
    "fps", "fps_source", "padded",
)  # fmt: skip
_AFTER_VECTORS = (
    "model", "weights_sha256", "recipe_hash", "sampling", "precision", "decode_status", "frames_declared",
    "frames_decoded", "file_size", "file_mtime_ns", "content_sha256", "label", "tool_version",
)  # fmt: skip
_NULLABLE = frozenset({"label", "frames_declared"})


def vector_column(layer: str) -> str:
    """Name of a layer's column."""
    return VECTOR_PREFIX + layer


def table_schema(dimensions: Mapping[str, int]) -> pa.Schema:
    """Arrow schema of a table with these layers (vector lengths by layer)."""
    import pyarrow as pa

    types: dict[str, Any] = {
        "clip_index": pa.int32(),
        "start_frame": pa.int64(),
        "end_frame": pa.int64(),
        "start_s": pa.float64(),
        "end_s": pa.float64(),
        "fps": pa.float64(),
        "padded": pa.bool_(),
        "frames_declared": pa.int64(),
        "frames_decoded": pa.int64(),
        "file_size": pa.int64(),
        "file_mtime_ns": pa.int64(),
    }

    def plain(name: str) -> pa.Field:
        return pa.field(name, types.get(name, pa.string()), nullable=name in _NULLABLE)

    vectors = [vector_field(layer, length) for layer, length in dimensions.items()]
    return pa.schema([*map(plain, _BEFORE_VECTORS), *vectors, *map(plain, _AFTER_VECTORS)])


def vector_field(layer: str, dimension: int) -> pa.Field:
    """One layer's column; null in rows that were made without this layer."""
    import pyarrow as pa

    return pa.field(vector_column(layer), pa.list_(pa.float32(), dimension), nullable=True)


def schema_dimensions(schema: pa.Schema) -> dict[str, int]:
    """Vector lengths by layer, from a table's schema."""
    return {
        field.name.removeprefix(VECTOR_PREFIX): int(field.type.list_size)
        for field in schema
        if field.name.startswith(VECTOR_PREFIX)
    }


def record_batch(
    schema: pa.Schema, record: VideoRecord, spans: Sequence[ClipSpan], vectors: Mapping[str, FloatArray]
) -> pa.RecordBatch:
    """Rows of one video as Arrow columns in the order of ``schema``.

    Parameters
    ----------
    vectors
        ``(len(spans), D)`` float32 by layer; layers of the schema that are missing become null.
    """
    import pyarrow as pa

    n = len(spans)
    arrays = []
    for field in schema:
        if field.name.startswith(VECTOR_PREFIX):
            rows = vectors.get(field.name.removeprefix(VECTOR_PREFIX))
            arrays.append(pa.nulls(n, field.type) if rows is None else _fixed_size_lists(rows, field.type))
        elif field.name in SPAN_COLUMNS:
            arrays.append(pa.array([getattr(span, field.name) for span in spans], field.type))
        elif field.name in RECORD_COLUMNS:
            value = getattr(record, field.name)
            arrays.append(pa.nulls(n, field.type) if value is None else pa.repeat(pa.scalar(value, field.type), n))
        else:
            arrays.append(pa.nulls(n, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def vectors_in(batch: pa.RecordBatch, layer: str) -> FloatArray:
    """One layer's vectors of a batch read from the table, ``(n, D)`` float32; the rows must not be null."""
    column = batch.column(vector_column(layer))
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float32).reshape(len(column), column.type.list_size)


def _fixed_size_lists(rows: FloatArray, arrow_type: Any) -> pa.Array:
    import pyarrow as pa

    flat = np.ascontiguousarray(rows, dtype=np.float32).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=arrow_type)


def quoted(values: Iterable[str]) -> str:
    """A list of SQL string literals: ``'a', 'it''s'``."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)

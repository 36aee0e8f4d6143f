"""Rows of one video until it is complete: a short video stays in memory, a long one goes to a temporary file.

A row needs facts that only the end of the decode tells (its status, the true number of frames), so the rows
of a video wait for its last frame. Waiting in memory, an hour-long video would cost hundreds of megabytes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tubelet.descriptors.pooling import FloatArray
from tubelet.descriptors.schema import ClipSpan

IN_MEMORY_BYTES = 4 << 20
BLOCK_BYTES = 4 << 20


class RowSpool:
    """Append vectors while a video is described, read them back in blocks, as often as needed.

    Parameters
    ----------
    dimensions
        Vector length by layer.
    folder
        Where the temporary file goes, should one be needed; it has no name, so nothing is left behind by kill
        -9.
    """

    def __init__(self, dimensions: Mapping[str, int], folder: str | os.PathLike[str] | None = None) -> None:
        self._dimensions = dict(dimensions)
        self._width = sum(self._dimensions.values())
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115
            max_size=IN_MEMORY_BYTES, dir=None if folder is None else os.fspath(folder)
        )
        self.spans: list[ClipSpan] = []

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.spans)

    @property
    def nbytes(self) -> int:
        """Size of all vectors."""
        return len(self.spans) * self._width * 4

    def append(self, spans: Sequence[ClipSpan], vectors: Mapping[str, FloatArray]) -> None:
        """Add rows: ``(len(spans), D)`` float32 by layer."""
        rows = np.concatenate([vectors[layer] for layer in self._dimensions], axis=1, dtype=np.float32)
        self._file.seek(0, os.SEEK_END)
        self._file.write(rows.tobytes())
        self.spans.extend(spans)

    def blocks(self) -> Iterator[tuple[list[ClipSpan], dict[str, FloatArray]]]:
        """The rows in order, a few megabytes at a time."""
        step = max(1, BLOCK_BYTES // (4 * self._width))
        borders = np.cumsum(list(self._dimensions.values()))[:-1]
        for start in range(0, len(self.spans), step):
            spans = self.spans[start : start + step]
            self._file.seek(start * self._width * 4)
            flat = np.frombuffer(self._file.read(len(spans) * self._width * 4), dtype=np.float32)
            parts = np.split(flat.reshape(len(spans), self._width), borders, axis=1)
            yield spans, dict(zip(self._dimensions, parts, strict=True))

    def close(self) -> None:
        """Give the memory or the file back."""
        self._file.close()

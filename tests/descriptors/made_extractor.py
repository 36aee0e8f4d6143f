"""Stands in for an extractor: rows come from the file's bytes, at once, and can be made to fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from made_rows import SAMPLING, made_vectors, spans

from tubelet.clips.recipe import Recipe
from tubelet.descriptors.batching import Ended, Rows
from tubelet.descriptors.request import VideoRequest
from tubelet.errors import VideoError
from tubelet.video.report import DecodeReport


@dataclass
class MadeExtractor:
    """A video of n bytes has n clips; one that begins with ``broken`` fails, with ``cut`` is partial."""

    weights_id: str = "w1"
    layers: tuple[str, ...] = ("fc6",)
    precision: str = "float32"
    sampling_text: str = SAMPLING
    recipe: Recipe = field(default_factory=lambda: Recipe("made", (2, 2), (2, 2)))
    before: Callable[[VideoRequest], None] = lambda request: None
    asked: list[str] = field(default_factory=list)
    device: str = "cpu"
    batch_size: int = 8
    flow: Path | None = None
    model: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(name="made"))

    @property
    def dimensions(self) -> dict[str, int]:
        return dict.fromkeys(self.layers, 8)

    def sources(self, requests: Sequence[VideoRequest]) -> dict[str, Path]:
        return {request.video_id: request.path for request in requests}

    def rows(self, requests: Sequence[VideoRequest]) -> Iterator[Rows | Ended]:
        for request in requests:
            self.asked.append(request.video_id)
            self.before(request)
            data = request.path.read_bytes()
            n = len(data)
            if n:
                vectors = made_vectors(data.decode(), n, self.weights_id, self.dimensions)
                for start in range(0, n, 2):
                    part = {layer: rows[start : start + 2] for layer, rows in vectors.items()}
                    yield Rows(request, tuple(spans(n)[start : start + 2]), part)
            if data.startswith(b"broken"):
                yield Ended(request, VideoError("no frame can be decoded", path=request.path, remedy="copy it again"))
            else:
                status = "partial" if data.startswith(b"cut") else "ok"
                rate, source = (25.0, "container") if request.fps is None else (request.fps, "given")
                yield Ended(request, DecodeReport(status, 8 * n + 8, 8 * n + 8, rate, source, 1.0, 2, 2, "h264", "mov"))

"""The decoding task without a child: what tests need where nothing may crash."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from tubelet.clips.decode_task import decode
from tubelet.clips.frame_hash import Hashes
from tubelet.video.limits import Limits
from tubelet.video.report import DecodeReport


class InProcess:
    """As `tubelet.clips.decode.ClipDecoder`, for fingerprints alone; counts what was decoded."""

    def __init__(self, workers: int = 1) -> None:
        self.decoded: list[str] = []

    def fingerprint(self, path: str | os.PathLike[str], fps: float | None = None) -> tuple[Hashes, DecodeReport]:
        self.decoded.append(os.path.basename(path))
        request = {"operation": "fingerprint", "path": str(path), "fps": fps, "size": None, "limits": asdict(Limits())}
        header, hashes = list(decode(request))[-1]
        assert hashes is not None
        return hashes, DecodeReport(**header["report"])  # type: ignore[return-value]

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

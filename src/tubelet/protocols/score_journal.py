"""Scores of the videos done so far, one line each, so that kill -9 loses no more than the video it interrupts."""

from __future__ import annotations

import base64
import binascii
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tubelet.errors import InputDataError
from tubelet.protocols.view_scores import VideoScores

JOURNAL = "scores.partial.jsonl"

_ARRAYS = {"scores": np.float64, "probabilities": np.float64, "view_scores": np.float32}


class ScoreJournal:
    """Appends lines of JSON to a file and flushes each to disk.

    Parameters
    ----------
    path
        Where it lies. What an earlier run wrote there is read; a last line that was cut off is dropped.
    made_by
        What makes the scores (JSON-ready): a journal of other scores is refused.

    Attributes
    ----------
    done
        Scores by video.

    Raises
    ------
    InputDataError
        The journal is of other scores, or damaged before its last line.
    """

    def __init__(self, path: str | os.PathLike[str], made_by: dict[str, Any]) -> None:
        self.path = Path(path)
        self.done: dict[str, VideoScores] = {}
        whole = self._read(made_by)
        self._file = self.path.open("ab")
        self._file.truncate(whole)
        if not whole:
            self._write({"made_by": made_by})

    def append(self, video_id: str, scores: VideoScores) -> None:
        """Keep one video's scores; when this returns they are on the disk."""
        line: dict[str, Any] = {"video_id": video_id, "views": scores.views, "problem": scores.problem}
        for name, kind in _ARRAYS.items():
            array = getattr(scores, name)
            if array is not None:
                line[name] = base64.b64encode(np.ascontiguousarray(array, dtype=kind).tobytes()).decode()
        self._write(line)
        self.done[video_id] = scores

    def remove(self) -> None:
        """Delete the file: its contents are somewhere else now."""
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> ScoreJournal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=True).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self, made_by: dict[str, Any]) -> int:
        """Take over what is there; how many bytes of it are whole lines."""
        if not self.path.exists():
            return 0
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        lines = data[:whole].splitlines()
        try:
            if lines and json.loads(lines[0])["made_by"] != made_by:
                raise InputDataError(
                    "the scores begun here were made by another model or with other settings",
                    path=self.path,
                    remedy="choose another folder with -o, or delete the file",
                )
            for line in lines[1:]:
                values = json.loads(line)
                self.done[values["video_id"]] = _scores(values)
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise InputDataError(
                "the scores begun here are damaged", path=self.path, why=str(error), remedy="delete the file"
            ) from error
        return whole


def _scores(values: dict[str, Any]) -> VideoScores:
    arrays = {
        name: np.frombuffer(base64.b64decode(values[name], validate=True), dtype=kind)
        for name, kind in _ARRAYS.items()
        if name in values
    }
    if "view_scores" in arrays:
        arrays["view_scores"] = arrays["view_scores"].reshape(values["views"], -1)
    return VideoScores(**arrays, views=int(values["views"]), problem=str(values["problem"]))

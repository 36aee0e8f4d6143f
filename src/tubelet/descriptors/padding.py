"""What is to be said of videos shorter than a clip: their clips hold frames twice, and descriptors suffer from it."""

from __future__ import annotations

import json

from tubelet.clips.sampling import Sampling
from tubelet.descriptors.store import DescriptorTable

_FILLED = {"loop": "looped to fill one", "repeat-last": "filled with their last frame"}


def padding_note(table: DescriptorTable) -> str | None:
    """How many videos of a table are shorter than a clip, what became of them, and what would spare them.

    Returns
    -------
    str or None
        One sentence without a period; None where every video fills its clips.
    """
    padded = set(table.rows(["video_id"], "padded")["video_id"])
    if not padded:
        return None
    text = table.only("sampling")
    counts = f"{len(padded)} of the table's {len(table.clip_counts())} videos are padded: they are shorter than a clip"
    if text is None:
        return counts
    sampling = Sampling.from_dict(json.loads(text))
    spared = f"; with --step-frames 1 a clip spans {sampling.clip_length}" if sampling.step_frames > 1 else ""
    return f"{counts} ({sampling.span_frames} frames) and {_FILLED[sampling.short]}{spared}"

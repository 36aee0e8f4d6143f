"""What reading a folder or a list of videos found beside the videos."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Findings:
    """What reading a folder found beside the items; told by ``data check``.

    Attributes
    ----------
    ignored
        Paths that are no videos, or videos outside the layout; folders end with ``/``.
    missing
        Videos that a list names and the folder does not hold.
    unlisted
        Videos that the folder holds and the list does not name.
    notes
        Sentences for the user.
    mislabeled
        Videos whose place or name contradicts the list's label, and lines of a list that contradict others, one
        sentence each.
    labeled_frames
        Where the list labels frames: every video's path, and one past the last frame that it labels.
    shared
        What official folds of a list have in common and must not, one sentence each; as bad as a leak.
    """

    ignored: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    mislabeled: tuple[str, ...] = ()
    labeled_frames: tuple[tuple[str, int], ...] = ()
    shared: tuple[str, ...] = ()

"""Videos named by their YouTube id, as crawlers of Sports-1M, Kinetics and ActivityNet name them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from tubelet.datasets.official_lists import video_stem

ID = r"[A-Za-z0-9_-]{11}"
"""A YouTube id; ids that differ by case are different videos."""

_NAME = re.compile(rf"(?:v_|yt_)?(?P<id>{ID})")
_URL = re.compile(rf"(?:https?://)?(?:www\.)?(?:youtube\.com/watch\?v=|youtu\.be/)(?P<id>{ID})", re.IGNORECASE)


def youtube_id(entry: str) -> str | None:
    """The id in a file's or folder's name: ``UDqivjS-lpI.webm``, ``yt_UDqivjS-lpI.mp4`` or ``v_UDqivjS-lpI``."""
    match = _NAME.fullmatch(video_stem(entry))
    return match["id"] if match else None


def url_id(url: str) -> str | None:
    """The id in an address such as ``https://www.youtube.com/watch?v=UDqivjS-lpI``."""
    match = _URL.fullmatch(url)
    return match["id"] if match else None


def listed_key(listed: Collection[str], key_of: Callable[[str], str | None]) -> Callable[[str, bool], str | None]:
    """What `find_videos` asks for, where names are ids: a folder counts as a video only if it is listed.

    Eleven letters also make a name of a class, such as ``eating_cake``.
    """

    def find(name: str, is_folder: bool) -> str | None:
        key = key_of(name)
        return None if is_folder and key not in listed else key

    return find

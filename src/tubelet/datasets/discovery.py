"""Which entries of a folder are videos: files by their suffix, folders by the numbered JPEGs in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tubelet.errors import InputDataError
from tubelet.video.fingerprint import FRAME_NAME

VIDEO_SUFFIXES = frozenset(
    {
        ".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpe",
        ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv",
    }
)  # fmt: skip
"""Suffixes, in lower case, of files that are taken for videos; compared without regard to case."""

# Left behind by desktops and file servers; nobody wants to hear of them.
_LITTER = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin"})


@dataclass(frozen=True)
class Listing:
    """The entries of one folder, sorted by name; hidden files and desktop litter are left out.

    Attributes
    ----------
    videos
        Names of video files and of folders of numbered JPEG frames.
    folders
        Names of the other folders.
    others
        Names of all that is neither, printable even where the name on disk is not valid UTF-8.
    """

    videos: tuple[str, ...]
    folders: tuple[str, ...]
    others: tuple[str, ...]


def require_folder(root: str | os.PathLike[str]) -> Path:
    """Return ``root`` as a path.

    Raises
    ------
    InputDataError
        There is no such folder, or it is a file.
    """
    folder = Path(root)
    if not folder.exists():
        raise InputDataError("there is no such folder", path=folder, remedy="check the spelling of the path")
    if not folder.is_dir():
        raise InputDataError(
            "a folder of videos is expected, this is a file",
            path=folder,
            remedy="give the folder that holds it",
        )
    return folder


def is_video_name(name: str) -> bool:
    """Whether a file of this name is taken for a video; looks at the suffix only, case-insensitively."""
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a video: a file with a video's suffix, or a folder of numbered JPEG frames."""
    return is_frame_folder(path) if os.path.isdir(path) else is_video_name(os.path.basename(path))


def is_litter(name: str) -> bool:
    """Whether an entry is hidden (also AppleDouble ``._x``) or left there by a desktop or file server."""
    return name.startswith(".") or name.lower() in _LITTER


def is_frame_folder(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is a video stored as numbered JPEGs: it holds such files, and no video.

    A class folder with thumbnails beside its videos is therefore not mistaken for a video.
    """
    found = False
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_litter(entry.name):
                    continue
                if is_video_name(entry.name) or (entry.is_dir() and _has_frames(entry.path)):
                    return False
                found = found or FRAME_NAME.fullmatch(entry.name) is not None
    except OSError:
        return False  # listed as a plain folder; opening it later gives the reason
    return found


def list_folder(folder: str | os.PathLike[str]) -> Listing:
    """Sort the entries of a folder into videos, folders and others.

    A dangling link with a video's suffix counts as a video, so that it is reported as unreadable rather than
    passed over; sockets, pipes and devices never do (opening a pipe would wait forever).

    Raises
    ------
    InputDataError
        The folder cannot be listed.
    """
    videos: list[str] = []
    folders: list[str] = []
    others: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_litter(entry.name):
                    continue
                if not _is_text(entry.name):
                    others.append(printable(entry.name))
                elif entry.is_dir():
                    (videos if is_frame_folder(entry.path) else folders).append(entry.name)
                elif is_video_name(entry.name) and (entry.is_file() or _dangling(entry)):
                    videos.append(entry.name)
                else:
                    others.append(entry.name)
    except OSError as error:
        raise InputDataError(
            "the folder cannot be listed", path=folder, why=error.strerror, remedy="check its permissions"
        ) from error
    return Listing(tuple(sorted(videos)), tuple(sorted(folders)), tuple(sorted(others)))


def walk_videos(root: Path) -> Iterator[str]:
    """Yield the POSIX path, relative to ``root``, of every video below it, at any depth, in a fixed order.

    Links to folders are followed; a folder met twice (a link that points up) is read once.
    """
    return (path for path, is_video in walk(root) if is_video)


def walk(root: Path) -> Iterator[tuple[str, bool]]:
    """As `walk_videos`, but yield ``(path, is_video)`` of all files; a frame folder counts as one video."""
    seen = {os.path.realpath(root)}
    pending = [""]
    while pending:
        below = pending.pop()
        listing = list_folder(root / below)
        yield from ((f"{below}{name}", True) for name in listing.videos)
        yield from ((f"{below}{name}", False) for name in listing.others)
        for name in reversed(listing.folders):
            real = os.path.realpath(root / below / name)
            if real not in seen:
                seen.add(real)
                pending.append(f"{below}{name}/")


def _has_frames(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(FRAME_NAME.fullmatch(entry.name) for entry in entries)
    except OSError:
        return False


def printable(name: str) -> str:
    """A file name that can be printed and stored: bytes that are not UTF-8 become ``\\xNN``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _dangling(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not os.path.exists(entry.path)


def _is_text(name: str) -> bool:
    # A name that is not UTF-8 can be written neither to JSON nor to a table; it is listed as ignored.
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True

"""Whether stored flow is whole: by its record and sizes, or by decoding every picture."""

from __future__ import annotations

from pathlib import Path

from tubelet.errors import TubeletError
from tubelet.flow.record import RECORD_FILE, FlowRecord
from tubelet.flow.shelf import open_shelf
from tubelet.flow.store import open_flow, parse_record


def read_record(path: Path) -> FlowRecord | None:
    """The record of stored flow; None where there is no flow, or none that can be trusted."""
    shelf = open_shelf(path)
    try:
        return parse_record(shelf)
    except TubeletError:
        return None
    finally:
        shelf.close()


def looks_complete(path: Path, record: FlowRecord) -> bool:
    """Whether number and bytes of the files are those that were written (nothing is decoded)."""
    shelf = open_shelf(path)
    try:
        sizes = shelf.sizes()
    except TubeletError:
        return False
    finally:
        shelf.close()
    sizes.pop(RECORD_FILE, None)
    return len(sizes) == record.files and sum(sizes.values()) == record.nbytes


def check_flow(path: Path) -> tuple[str, ...]:
    """Decode everything that is stored for a video; what is wrong, one sentence each."""
    try:
        record = read_record(path)
        directions = (None,) if record is None else record.settings.directions
        problems: list[str] = []
        for direction in directions:
            with open_flow(path, direction=direction) as stored:
                problems.extend(stored.check())
                problems.extend(stored.check_frames() if direction != "backward" else ())
        if record is not None and not looks_complete(path, record):
            problems.append(f"files are missing or have another size than when they were written: {path}")
        return tuple(problems)
    except TubeletError as error:
        return (str(error),)

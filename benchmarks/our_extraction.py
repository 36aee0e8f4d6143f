"""Ours, the whole way: video files to rows of a table, with full C3D."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from benchmarks.turns import serve
from tubelet.allocator import set_allocator


def main(precision: str, folder: str) -> None:
    set_allocator()
    from tubelet.clips.recipes import get_recipe
    from tubelet.descriptors.extractor import Extractor
    from tubelet.descriptors.runner import extract
    from tubelet.models.registry import create_model

    videos = sorted(Path(folder).glob("*.mp4"))
    table = Path(folder) / f"table-{precision}"
    extractor = Extractor(
        create_model("c3d", 487, seed=0),
        ("fc6",),
        recipe=get_recipe("c3d_channel_mean"),
        precision=precision,  # type: ignore[arg-type]
        device="cpu",
    )

    def work() -> int:
        shutil.rmtree(table, ignore_errors=True)
        return extract(videos, extractor, table).rows

    serve(work)
    extractor.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

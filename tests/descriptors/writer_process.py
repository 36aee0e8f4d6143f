"""A process that commits videos until it is killed, and says after each commit what it has committed.

    python writer_process.py TABLE FIRST WEIGHTS...

Commits videos ``v<FIRST>``, ``v<FIRST+1>``, … under the first weights, two at a time; every third commit also replaces
the two videos of three commits ago by rows of the next weights, with one clip fewer. Standard output: one line
``video_id rows weights`` per committed video.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from made_rows import DIMENSIONS, finished

from tubelet.descriptors.writer import TableWriter


def main(table: str, first: int, old: str, new: str) -> None:
    with TableWriter(table, DIMENSIONS) as writer:
        print("ready", flush=True)
        for number in range(10_000):
            videos, replaced = [], {}
            for offset in (0, 1):
                name = f"v{first + 2 * number + offset}"
                videos.append(finished(name, 5, old))
                if number % 3 == 2:
                    name = f"v{first + 2 * (number - 2) + offset}"
                    videos.append(finished(name, 4, new))
                    replaced[name] = 5
            writer.commit(videos, replaced)
            for video in videos:
                print(video.record.video_id, len(video.rows), video.record.weights_sha256, flush=False)
            sys.stdout.flush()
            if number % 10 == 9:
                writer.compact()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])

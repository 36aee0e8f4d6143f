"""How a run of ``extract`` ended."""

from __future__ import annotations

from dataclasses import dataclass

from tubelet.failures import ManyVideos


@dataclass(frozen=True)
class ExtractSummary(ManyVideos):
    """How a run ended.

    Attributes
    ----------
    table
        The table's folder.
    rows
        Rows written in this run.
    clips_per_s
        The rate of this run.
    """

    table: str
    rows: int
    clips_per_s: float

    def __str__(self) -> str:
        counts = self.counts_line(self.table, "described")
        rate = f" at {self.clips_per_s:.1f} clips/s" if self.rows else ""
        return f"{counts}; {self.rows} rows written{rate}"

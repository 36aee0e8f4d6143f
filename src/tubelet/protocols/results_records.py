"""The rows of results tables as plain records, for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from tubelet.protocols.results_table import ResultsTable, interval_words

_CSV = (
    "dataset", "run", "system", "network", "input", "parameters", "macs", "metric", "n", "unit", "seeds", "value",
    "low", "high", "level", "interval", "class_mean", "class_mean_low", "class_mean_high", "published",
    "published_metric", "published_source", "published_tag", "unlike_it", "notes",
)  # fmt: skip


def records(tables: Sequence[ResultsTable]) -> list[dict[str, object]]:
    """Every row with its figures as numbers, shares between 0 and 1 (JSON-ready)."""
    found = []
    for table in tables:
        for system, cells in zip(table.systems, table.cells, strict=True):
            result, line = system.result, system.result.published
            whole, by_class = result.interval, result.class_mean_interval
            values: tuple[object, ...] = (
                table.dataset, system.run, system.name, system.model or None, cells.get("input"), system.parameters,
                system.macs, result.metric, result.n, result.unit, system.seeds, result.value,
                *((None,) * 3 if whole is None else (whole.low, whole.high, whole.level)),
                interval_words(whole) or None, result.class_mean,
                *((None,) * 2 if by_class is None else (by_class.low, by_class.high)),
                *((None,) * 4 if line is None else (line.value, line.metric, line.source, line.tag)),
                None if line is None else "; ".join(line.differences), "; ".join(result.notes) or None,
            )  # fmt: skip
            found.append(dict(zip(_CSV, values, strict=True)))
    return found


def csv_text(tables: Sequence[ResultsTable]) -> str:
    """`records` as comma-separated values with a line of names."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records(tables))
    return text.getvalue()

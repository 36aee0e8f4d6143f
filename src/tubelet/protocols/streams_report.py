"""The page of a comparison of streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tubelet.artifacts import write_json
from tubelet.datasets.manifest import Manifest
from tubelet.protocols.run_report import interval_text
from tubelet.protocols.stream_experiment import StreamExperiment
from tubelet.protocols.streams_open import Stream
from tubelet.protocols.streams_result import StreamsResult
from tubelet.reporting.page import Page
from tubelet.reporting.text import percent

RESULT = "result.json"


def write_streams(
    folder: Path,
    experiment: StreamExperiment,
    manifest: Manifest,
    streams: Sequence[Stream],
    result: StreamsResult,
    provenance: Mapping[str, Any],
) -> Path:
    """Write ``result.json``, ``report.html`` and ``plots/`` into a folder; the path of the report."""
    write_json(folder / RESULT, {**result.to_dict(), "provenance": dict(provenance)})
    page = Page(f"Streams on {manifest.name}", f"{result.rows[0].n} videos, {len(manifest.classes)} classes")
    page.add_numbers(*[(percent(one.value), one.protocol, interval_text(one.interval)) for one in result.rows])
    page.set_provenance(provenance)
    return page.save(folder / "report.html")

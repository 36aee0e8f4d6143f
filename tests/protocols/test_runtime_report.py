"""The files of a runtime table."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from protocols.made_runtime import made_result
from tubelet.protocols.runtime_report import csv_text, write_runtime


def test_the_folder_holds_page_table_and_picture(tmp_path: Path) -> None:
    result = replace(made_result(load=3.2), failed=(("bad.avi", "it is no video"),))
    page = write_runtime(tmp_path, result).read_text(encoding="utf-8")
    assert (tmp_path / "plots/runtime.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "result.json").is_file()
    assert (tmp_path / "runtime.csv").is_file()
    told = (
        "load of 3.2",
        "16.0 (12.8–32.0)",
        "4.00x (3.00–4.00)",
        "3.5 [memory]",
        "313.9, from memory",
        "0.3 [memory]",
    )
    assert "h by processor time" not in page
    kept = write_runtime(tmp_path, made_result(share=0.4)).read_text(encoding="utf-8")
    assert "43.4 h, 17.4 h by processor time" in kept
    for words in (*told, "bad.avi"):
        assert words in page


def test_the_csv_has_ours_and_the_papers_figures_with_their_tags() -> None:
    rows = list(csv.DictReader(csv_text(made_result().rows).splitlines()))
    assert [row["method"] for row in rows] == ["c3d", "idt", "tvl1", "dis"]
    idt = rows[1]
    assert (idt["times_as_long_median"], idt["paper_times_as_long"], idt["paper_times_as_long_tag"]) == (
        "4",
        "91",
        "paper",
    )
    assert (idt["paper_fps"], idt["paper_fps_tag"]) == ("3.5", "memory")
    assert float(rows[0]["processor_ucf101_h_extrapolated"]) == pytest.approx(43.4028 * 0.95, rel=1e-5)
    assert (rows[0]["paper_times_as_long"], rows[0]["start_s"]) == ("", "8")

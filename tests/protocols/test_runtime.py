"""The runtime table in print: beside the paper's, with what puts it in doubt."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from protocols.made_runtime import made_result, made_rounds
from tubelet.protocols.runtime import paper_figures, paper_text


def test_the_table_stands_beside_the_papers() -> None:
    lines = str(made_result()).splitlines()
    assert lines[0].startswith(
        "4 methods in turns on the same 5 clips (320 frames in 5 rounds, 320x240), one core each"
    )
    c3d, idt, tvl1, dis = lines[2:6]
    for words in ("c3d fc6, float32", "16.0 (12.8–32.0)", "43.4 h"):
        assert words in c3d
    assert "4.00x (3.00–4.00)" in idt
    assert "16.0x (8.00–20.0)" in tvl1
    assert "0.250x (0.200–0.250)" in dis
    # What the paper's text says is plain; the decimals of its table nobody has looked up.
    assert "C3D 313 frames/s, 2.2 h [memory]" in c3d
    assert "iDT 3.5 frames/s [memory], 202.2 h [memory], 91x" in idt
    assert "Brox flow, GPU 1.2 frames/s [memory], 607.8 h [memory], 274x" in tvl1


def test_every_figure_from_memory_is_marked() -> None:
    for row in ("C3D", "iDT", "Brox flow, GPU", "Brox flow, CPU"):
        from_memory = [figure for figure in paper_figures(row).values() if figure.tag == "memory"]
        assert paper_text(row).count("[memory]") == len(from_memory)


def test_a_quiet_machine_leaves_no_doubt() -> None:
    assert made_result().doubts == ()


def test_a_busy_machine_is_said() -> None:
    found = made_result(load=3.2, share=0.4)
    assert "load of 3.2" in found.doubts[0]
    assert "(c3d fc6, float32 40%; idt 40%; tvl1 40%; dis 40% of it)" in found.doubts[1]
    # 2.5 million frames at 16 frames/s of the clock, which are 64 / (0.4 * 4) = 40 of processor time.
    line = str(found).splitlines()[2]
    assert "43.4 h, 17.4 h by processor time" in line
    assert " 40% " in line
    assert "processor time" not in str(made_result(share=0.95)).splitlines()[2]
    assert found.to_dict()["rows"][0]["processor_ucf101_h_extrapolated"] == pytest.approx(2_500_000 / 40 / 3600)
    # With several cores a method may leave some idle by itself.
    several = replace(found, settings={"threads": 2})
    assert len(several.doubts) == 1
    assert " 20%  43.4 h  " in str(several).splitlines()[2]


def test_few_rounds_are_said() -> None:
    found = replace(made_result(), rounds=made_rounds()[:1])
    assert found.doubts == ("1 round cannot say how much the figures vary; give it 5",)


def test_what_is_unlike_the_paper_is_said() -> None:
    told = " / ".join(made_result().differences)
    assert "on a processor here, and on a K40" in told
    assert "up to 14% more" in told  # 0.125 / (7 / 64) = 1.143
    assert "DIS flow: a method of 2016" in told
    assert "extrapolated to its 13,320 videos" in told
    assert "TV-L1 flow: another method" in told
    assert "cannot hold a process to a core" not in told
    assert "cannot hold a process to a core" in str(replace(made_result(), settings={"held_to_cores": False}))


def test_the_result_is_json() -> None:
    found = json.loads(json.dumps(made_result().to_dict(), allow_nan=False))
    assert [row["method"]["name"] for row in found["rows"]] == ["c3d", "idt", "tvl1", "dis"]
    assert found["rows"][1]["times_as_long"] == {"median": 4.0, "low": 3.0, "high": 4.0}
    assert found["rows"][0]["ucf101_h_extrapolated"] > 43
    assert {"method": "C3D", "value": 313, "tag": "paper"}.items() <= found["published"][0].items()
    assert len(found["rounds"]) == 5

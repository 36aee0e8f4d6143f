"""What a map in a page holds for its script, and that the script is the only one that may run."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import numpy as np
import pytest

from tubelet.errors import UsageError
from tubelet.reporting import Page, scatter_map
from tubelet.reporting.explorer import map_explorer

EVIL = "</script><script>alert(1)</script>"


def page_of(
    points: np.ndarray, labels: list[str | None], names: list[str], **more: object
) -> tuple[str, dict[str, object]]:
    figure = scatter_map(points, labels, title="Map")
    page = Page("Map").add_explorer(map_explorer(figure, points, labels, names, **more)).html()  # type: ignore[arg-type]
    found = re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return page, json.loads(found.group(1))


def test_points_come_back() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(30, 2)) * [2, 1]
    labels = [None if i % 7 == 0 else "abc"[i % 3] for i in range(30)]
    names = [f"v{i // 2}" for i in range(30)]
    clip, start = [i % 2 for i in range(30)], [i / 3 for i in range(30)]
    _, data = page_of(points, labels, names, clip=clip, start_s=start, end_s=start)
    back = np.stack([data["x"], data["y"]], axis=1)
    unit = np.ptp(points, axis=0).max() / (1 << 14)
    np.testing.assert_allclose(back * unit + points.min(0), points, atol=unit)
    assert [data["videos"][code] for code in data["video"]] == names  # type: ignore[index,attr-defined]
    assert data["clip"] == clip
    assert data["start"] == [round(value, 2) for value in start]
    assert data["unit"] == "clip"
    shown: dict[int, str] = {row: group["name"] for group in data["groups"] for row in group["rows"]}  # type: ignore[attr-defined]
    assert [shown[row] for row in range(30)] == [label or "no label" for label in labels]
    for group in data["groups"]:  # type: ignore[attr-defined]
        assert group["middle"] in back[group["rows"]].tolist()
        away = np.linalg.norm(back[group["rows"]] - group["middle"], axis=1)
        assert group["rise"] == pytest.approx(np.sqrt(2) * np.median(away), abs=2)  # whole steps


def test_only_the_script_of_the_page_may_run() -> None:
    page, data = page_of(np.eye(2), [EVIL, None], [EVIL, "b"])
    assert data["groups"][0]["name"] == data["videos"][0] == EVIL  # type: ignore[index]
    scripts = re.findall(r"<script(.*?)>(.*?)</script>", page, re.DOTALL)
    assert [kind for kind, _ in scripts] == [' type="application/json"', ""]
    digest = base64.b64encode(hashlib.sha256(scripts[1][1].encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy.group(1) == (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )
    assert "innerHTML" not in scripts[1][1]
    assert "//" not in re.sub(r"(?m)^\s*//.*$|; //.*$|\{ // .*$", "", scripts[1][1])  # and it fetches nothing
    assert "http" not in scripts[1][1]
    # The still figure is there for print, and for readers without scripts.
    assert 'class="plate explorer-still"' in page
    assert "<svg" in page


def test_other_pages_have_no_script() -> None:
    page = Page("Words").add_text("None.").html()
    assert "<script" not in page
    assert "script-src" not in page


def test_one_point_and_what_does_not_fit() -> None:
    _, data = page_of(np.array([[3.0, 4.0]]), [None], ["a"])
    assert (data["x"], data["y"], data["width"], data["height"]) == ([0], [0], 0, 0)
    figure = scatter_map([[0, 0]], [None])
    for more in ({"names": ["a", "b"]}, {"names": ["a"], "start_s": []}):
        with pytest.raises(UsageError, match="n of everything else"):
            map_explorer(figure, [[0, 0]], [None], **more)  # type: ignore[arg-type]

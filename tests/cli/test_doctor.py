"""``tubelet doctor``: the golden clip passes every stage here, and a stage that fails is named."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import pytest

from tubelet.cli import doctor
from tubelet.cli.doctor import Check
from tubelet.errors import MissingExtraError

CHECKS = [
    "encode and decode", "color order", "exact frames", "decoding in a child", "resize", "network against float64",
    "fast convolution against float64", "training gradients", "descriptor table",
]  # fmt: skip


def test_every_check_passes_and_json_says_all(tubelet: Callable[..., Any]) -> None:
    found = tubelet("doctor", "--json")
    report = found.json
    assert [check["name"] for check in report["checks"]] == CHECKS
    assert all(check["ok"] for check in report["checks"]), report["checks"]
    assert report["healthy"] is True
    assert found.code == 0
    assert report["installed"]["torch"] == metadata.version("torch")
    assert report["installed"]["av"] == metadata.version("av")
    assert report["installed"]["FFmpeg libavcodec"].count(".") == 2
    assert report["installed"]["optical flow"].endswith(": DIS, TV-L1, Farneback")
    assert {"processors", "torch threads", "bf16 in hardware", "GPU", "allocator"} <= set(report["machine"])


def quick(monkeypatch: pytest.MonkeyPatch, *checks: Check) -> None:
    monkeypatch.setattr(doctor, "_golden_clip", lambda: list(checks))


def test_people_get_a_table(tubelet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, Check("resize", True, "within 0.00 gray levels"))
    found = tubelet("doctor")
    assert found.code == 0
    assert "torch" in found.out
    assert any(line.split()[:2] == ["ok", "resize"] for line in found.out.splitlines())
    assert found.out.rstrip().endswith("All checks passed.")


def test_a_failed_check_is_code_1(tubelet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, Check("resize", True, "fine"), Check("color order", False, "red is blue"))
    found = tubelet("doctor")
    assert found.code == 1
    assert any(line.split()[:3] == ["FAILED", "color", "order"] for line in found.out.splitlines())
    assert found.out.rstrip().endswith("1 checks failed: color order")
    assert tubelet("doctor", "--json").json["healthy"] is False


def test_an_exception_in_a_check_is_a_finding(tubelet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: object) -> tuple[bool, str]:
        raise OSError("libavcodec is missing")

    monkeypatch.setattr(doctor, "_check_decoding", broken)
    found = tubelet("doctor", "--json")
    assert found.code == 1
    # Without a clip nothing else can be checked.
    assert found.json["checks"] == [
        {"name": "encode and decode", "ok": False, "detail": "OSError: libavcodec is missing"}
    ]


@pytest.mark.parametrize(
    ("module", "said"),
    [(None, "pip install 'tubelet[flow]'"), (SimpleNamespace(__version__="9.1"), "9.1 without")],
)
def test_what_flow_lacks_is_said(
    tubelet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, module: Any, said: str
) -> None:
    quick(monkeypatch)

    def opencv() -> Any:
        if module is None:
            raise MissingExtraError("optical flow needs OpenCV", remedy="install it with: pip install 'tubelet[flow]'")
        return module

    monkeypatch.setattr("tubelet.flow.opencv.opencv", opencv)
    assert said in tubelet("doctor", "--json").json["installed"]["optical flow"]

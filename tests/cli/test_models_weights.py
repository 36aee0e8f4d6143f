"""``tubelet models weights``: the list at 100 columns, one file with its tensors, and JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tubelet.weights.catalog import known_files
from tubelet.weights.maps import list_maps


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def test_the_list(tubelet: Callable[..., Any]) -> None:
    found = tubelet("models", "weights")
    assert found.code == 0
    lines = found.out.splitlines()
    # Only what is copied whole, a link or a command, and a name may be longer than the screen.
    assert [line for line in lines if len(line) > 100 and "http" not in line and "then     tubelet" not in line] == []
    headings = [line for line in lines if line and not line.startswith(" ")]
    assert headings[:3] == ["C3D", "Res3D", "Mixed convolutions"]
    assert headings.index("Pseudo-3D") > headings.index("Temporal segment networks")
    for each in known_files():
        if each.split in (None, 1):
            start = next(i for i, line in enumerate(lines) if line.startswith(f"  {each.name} "))
            entry = "\n".join(lines[start : lines.index("", start)])
            assert "    get      " in entry
            assert (each.url or "get") in entry
            assert (f"then     {each.command}" in entry) == (each.command is not None)
            assert ("    labels   https://raw" in entry) == (each.labels is not None)
    assert "the files of split2 and split3 likewise" in found.out
    assert "video@5 87.8 (from memory, not looked up)" in found.out
    assert all(name in found.out for name in list_maps())
    assert "none were tried here" in found.err


def test_one_file_with_its_tensors(tubelet: Callable[..., Any]) -> None:
    found = tubelet("models", "weights", "c3d.sports1m")
    assert found.code == 0
    rows = [line.split() for line in found.out.splitlines()]
    assert ["conv1a[0]", "F32", "64×3×3×3×3"] in rows
    assert ["fc8-1[1]", "F32", "1×1×1×1×487"] in rows
    assert ["22", "tensors"] in rows
    assert (
        "then     tubelet convert-weights conv3d_deepnetA_sport1m_iter_1900000 -o c3d.sports1m --mean MEAN "
        "--labels labels.txt\n" in found.out
    )
    # Where the names are, and whose they are, one below the other.
    at = found.out.splitlines().index(
        "  labels   https://raw.githubusercontent.com/gtoderici/sports-1m-dataset/master/labels.txt"
    )
    assert found.out.splitlines()[at + 1].startswith(" " * 11 + "gtoderici/sports-1m-dataset, which numbers")
    assert "  labels   no public list is known\n" in tubelet("models", "weights", "r2plus1d.ig65m_vmz_34").out
    assert "  labels " not in tubelet("models", "weights", "c3d.sports1m_mmaction").out
    older = tubelet("models", "weights", "imagenet.resnet50_older").out
    assert "320 tensors, 53 of which older files lack (*)" in older
    assert "bn1.num_batches_tracked*" in older
    assert "19c8e3572231adff6824a2da93fd67b5986919a2e65f8b6007eab4edee220097 (open_model_zoo" in older
    refused = tubelet("models", "weights", "imagenet.resnet18").out
    assert "network  none here" in refused
    assert "but      no network here has its 7×7 first convolution" in refused
    assert "its tensors are not known" in tubelet("models", "weights", "tsn.bn_inception_rgb_init").out


def test_json(tubelet: Callable[..., Any]) -> None:
    found = tubelet("models", "weights", "--json")
    assert found.code == 0
    facts = {each["name"]: each for each in found.json}
    assert list(facts) == [each.name for each in known_files()]
    assert facts["res3d.sports1m"]["options"] == {"projection": True}
    assert facts["res3d.sports1m"]["published"][0].endswith("(from memory, not looked up)")
    assert facts["tsn.hmdb51_split2_flow"]["labels"]["file"] == "class_list.txt"
    assert facts["t3d.kinetics"]["labels"] is None
    assert (facts["t3d.kinetics"]["fits"], facts["t3d.kinetics"]["command"]) == (False, None)
    (one,) = tubelet("models", "weights", "two_stream.vgg_m_imagenet", "--json").json
    assert {
        "name": "fc8[0]",
        "shape": [1, 1, 1000, 2048],
        "dtype": "F32",
        "target": "fc8.weight",
        "optional": False,
    } in one["tensors"]


def test_wrong_names(tubelet: Callable[..., Any]) -> None:
    for words, said in (
        (("weights", "c3d.sport"), "did you mean 'c3d.sports1m'"),
        (("weights", "zzz*"), "has no weights file 'zzz*'"),
        (("c3d", "sports1m"), "one name too many"),
    ):
        found = tubelet("models", *words)
        assert (found.code, found.out) == (2, "")
        assert said in found.complaint

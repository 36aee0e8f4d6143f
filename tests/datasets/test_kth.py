"""KTH: the official list, the split of the paper, and the one clip that is handed out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tubelet.datasets.kth import ACTIONS, open_kth, person_of, read_sequences, side_of
from tubelet.errors import InputDataError

# The line of the clip handed out, as in the official list; the clip has 378 frames.
REAL = "person01_handclapping_d1\tframes\t1-102, 103-182, 183-260, 261-378\n"


def test_the_split_is_that_of_the_paper() -> None:
    # "8 persons for training, 8 for validation, 9 for test" (Schuldt, Laptev and Caputo 2004).
    sides = {person: side_of(person) for person in range(1, 26)}
    assert Counter(sides.values()) == {"train": 8, "val": 8, "test": 9}
    assert [person for person, side in sides.items() if side == "train"] == list(range(11, 19))
    assert [person for person, side in sides.items() if side == "val"] == [1, 4, 19, 20, 21, 23, 24, 25]
    assert [person for person, side in sides.items() if side == "test"] == [2, 3, 5, 6, 7, 8, 9, 10, 22]


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("walking/person07_walking_d2_uncomp.avi", 7),
        ("PERSON25_jogging_d4.mp4", 25),
        ("person26_walking_d2_uncomp.avi", None),
        ("person00_walking_d2_uncomp.avi", None),
        ("person01_walking_d5_uncomp.avi", None),
        ("person01_swimming_d1_uncomp.avi", None),
    ],
)
def test_names(name: str, person: int | None) -> None:
    assert person_of(name) == person


def test_the_clip_handed_out_in_its_official_segments(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "00sequences.txt").write_text(REAL)
    found = open_kth(shared_data / "kth", annotations=tmp_path)
    assert [(item.start_s, item.end_s) for item in found.items] == [
        (0.0, pytest.approx(4.08)),
        (pytest.approx(4.08), pytest.approx(7.28)),
        (pytest.approx(7.28), pytest.approx(10.4)),
        (pytest.approx(10.4), pytest.approx(15.12)),
    ]
    assert {(item.label, item.split, item.group) for item in found.items} == {("handclapping", "val", "person01")}
    whole = open_kth(shared_data / "kth")
    assert [(item.start_s, item.end_s, item.split) for item in whole.items] == [(None, None, "val")]
    assert whole.classes == ACTIONS
    assert "00sequences.txt is not there: whole videos are taken" in whole.findings.notes[0]


def test_what_was_never_released(tree, tmp_path: Path) -> None:
    root = tree("person13_handclapping_d3_uncomp.avi", "person13_handclapping_d2_uncomp.avi")
    (root / "00sequences.txt").write_text(
        "head\nperson13_handclapping_d2\tframes\t1-100\nperson13_handclapping_d3\t*missing*\n"
    )
    found = open_kth(root)
    assert [item.path for item in found.items] == ["person13_handclapping_d2_uncomp.avi"]
    assert "never released, so they are left out: person13_handclapping_d3" in found.findings.notes[0]
    assert found.findings.unlisted == ("person13_handclapping_d3_uncomp.avi",)
    (root / "person13_handclapping_d3_uncomp.avi").unlink()
    assert open_kth(root).findings.missing == (), "what the list calls missing is not missed"


def test_bad_lists_and_folders(tree, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("person11_boxing_d1 frames 1-5, 1-5\nperson11_boxing_d2 frames 0-5\nperson11_boxing_d3 1-5\n")
    with pytest.raises(InputDataError, match=r"3 lines of the list cannot be used.*line 3 is not"):
        read_sequences(path)
    path.write_text("head\n\npersn11_boxing_d1 frames 1-5\nperson11_boxing_d2 frames 1-5\n")
    with pytest.raises(InputDataError, match="line 3: 'persn11_boxing_d1' is no sequence"):
        read_sequences(path)
    path.write_text("nothing but a head\n")
    with pytest.raises(InputDataError, match="names no sequence"):
        read_sequences(path)
    root = tree("person11_boxing_d1.avi", "boxing/person11_boxing_d1_uncomp.avi")
    with pytest.raises(InputDataError, match="the same video more than once"):
        open_kth(root)
    with pytest.raises(InputDataError, match=r"none of the videos.*person01_boxing_d1_uncomp\.avi"):
        open_kth(tree("a.avi", root="other"))

"""Weizmann: the real clips, the original release's names, other actors."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tubelet.cli.labeled import open_labeled
from tubelet.cli.sources import open_videos
from tubelet.clips.decode import ClipDecoder
from tubelet.datasets.check import check_dataset
from tubelet.datasets.splits import leave_one_group_out
from tubelet.datasets.weizmann import ACTIONS, open_weizmann, parse_name, refuse_misplaced
from tubelet.errors import ExitCode, InputDataError


def test_sixty_clips_of_six_actors(shared_data: Path) -> None:
    found = open_weizmann(shared_data / "weizmann")
    assert len(found) == 60
    assert found.classes == ACTIONS
    assert found.groups == ("daria", "denis", "eli", "ido", "ira", "lena")
    assert set(Counter(found.targets.tolist()).values()) == {6}
    assert found.flip
    folds = list(leave_one_group_out(found))
    assert [fold.name for fold in folds] == list(found.groups)
    assert all((len(fold.train), len(fold.test)) == (50, 10) for fold in folds)


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("daria_bend.avi", ("daria", "bend")),
        ("walk/lena_walk1.avi", ("lena", "walk")),
        ("lena_walk2.avi", ("lena", "walk")),
        ("ido_wave1.avi", ("ido", "wave1")),
        ("ido_wave2", ("ido", "wave2")),
        ("ido_wave21.avi", ("ido", "wave2")),
        ("Moshe_PJUMP.AVI", ("moshe", "pjump")),
        ("ido_wave.avi", None),
        ("bend.avi", None),
        ("_bend.avi", None),
        ("ido_bend_old.avi", None),
        ("person01_handclapping_d1.avi", None),
    ],
)
def test_names(name: str, parsed: tuple[str, str] | None) -> None:
    assert parse_name(name) == parsed


def test_all_videos_in_one_folder_and_other_actors(tree) -> None:
    found = open_weizmann(tree("shahar_run.avi", "lena_run1.avi", "lena_run2.avi", "anna_walk/", "README.txt", "x.avi"))
    assert [(i.path, i.label, i.group) for i in found.items] == [
        ("anna_walk", "walk", "anna"),
        ("lena_run1.avi", "run", "lena"),
        ("lena_run2.avi", "run", "lena"),
        ("shahar_run.avi", "run", "shahar"),
    ]
    assert found.classes == ACTIONS
    assert found.findings.ignored == ("README.txt",)
    assert found.findings.unlisted == ("x.avi",)
    assert "x.avi" in found.findings.notes[0]


def test_a_video_in_the_wrong_folder_is_told_and_refused_as_a_measure(tree) -> None:
    root = tree("walk/ido_run.avi", "run/ido_run.avi", "run/denis_run.avi")
    found = open_weizmann(root)
    assert found.findings.mislabeled == ("walk/ido_run.avi: named after run",)
    assert found.findings.notes == ("2 actors, Weizmann has 9",)
    with pytest.raises(InputDataError, match=r"contradict the action folders.*walk/ido_run\.avi"):
        refuse_misplaced(found)
    with pytest.raises(InputDataError, match=r"contradict the action folders.*walk/ido_run\.avi"):
        open_labeled("weizmann", root, split=None, fps=None, label_column="label", limit=None)
    assert open_videos(root, None).classes == (), "nothing says which label is right"
    assert refuse_misplaced(sound := open_weizmann(root / "run")) is sound


def test_the_checker_goes_on_to_what_cannot_be_read(tree) -> None:
    root = tree("walk/ido_run.avi", "run/ido_run.avi")
    (root / "run/ido_run.avi").write_bytes(b"another content")
    with ClipDecoder(workers=1) as decoder:
        report = check_dataset(open_weizmann(root), decoder)
    assert report.problems == (
        "2 videos cannot be read",
        "1 mislabeled: place, name or list contradicts the label",
    )
    assert report.exit_code == ExitCode.SOME_FAILED


def test_nine_actors_are_nothing_to_remark(tree) -> None:
    assert open_weizmann(tree(*(f"actor{number}_run.avi" for number in range(9)))).findings.notes == ()


@pytest.mark.parametrize(("names", "says"), [(("a.avi",), r"first a\.avi"), (("a.txt",), "it holds no video")])
def test_other_folders_are_refused(tree, names: tuple[str, ...], says: str) -> None:
    with pytest.raises(InputDataError, match=says):
        open_weizmann(tree(*names))

"""The suite that every reader of the catalog has to pass, whichever data set it reads."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from suites.reader_cases import CASES, ReaderCase
from tubelet.clips.decode import ClipDecoder
from tubelet.datasets import DATASETS, Manifest, leave_one_group_out, open_dataset
from tubelet.datasets.catalog import detect_kind
from tubelet.datasets.check import check_dataset
from tubelet.datasets.splits import leaks
from tubelet.errors import ExitCode, InputDataError, TubeletError
from tubelet.video.encode import encode

Made = Callable[[ReaderCase], Path]

every_reader = pytest.mark.parametrize("kind", list(CASES))
listed = [kind for kind, case in CASES.items() if case.gone]
damaged = [
    pytest.param(kind, number, id=f"{kind}-{number}")
    for kind, case in CASES.items()
    for number in range(len(case.damage))
]


@pytest.fixture(scope="session")
def tiny_videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five videos of 20 frames at 25 frames/s, no two alike; players do not mind a wrong suffix."""
    folder = tmp_path_factory.mktemp("tiny")
    frames = np.random.default_rng(0).integers(0, 255, (5, 20, 32, 48, 3), np.uint8)
    return [encode(folder / f"{number}.mp4", some, codec="mpeg4") for number, some in enumerate(frames)]


@pytest.fixture(scope="session")
def tiny_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 20 JPEG frames."""
    import av

    folder = tmp_path_factory.mktemp("frames") / "video"
    folder.mkdir()
    pictures = np.random.default_rng(1).integers(0, 255, (20, 32, 48, 3), np.uint8)
    for number, picture in enumerate(pictures, 1):
        encoder = av.CodecContext.create("mjpeg", "w")
        encoder.width, encoder.height, encoder.pix_fmt = 48, 32, "yuvj420p"
        encoder.time_base = 1  # type: ignore[assignment]
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p")
        (folder / f"{number:06d}.jpg").write_bytes(b"".join(bytes(packet) for packet in encoder.encode(frame)))
    return folder


@pytest.fixture(scope="session")
def decoder() -> Iterator[ClipDecoder]:
    with ClipDecoder(workers=1) as one:
        yield one


@pytest.fixture
def made(tmp_path: Path, tiny_videos: list[Path], tiny_frames: Path) -> Made:
    """``made(case)`` writes the data set and returns its folder."""

    def make(case: ReaderCase) -> Path:
        root = tmp_path / "data"
        contents = iter(tiny_videos)
        for name in case.videos:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("/"):
                shutil.copytree(tiny_frames, root / name)
            else:
                shutil.copy(next(contents), root / name)
        for name, text in case.lists.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        return root

    return make


def opened(kind: str, root: Path, **options: object) -> Manifest:
    return open_dataset(kind, root, fps=25, **options)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- the suite


def test_every_kind_has_a_case_and_every_case_a_kind() -> None:
    assert sorted(CASES) == sorted(DATASETS)


@every_reader
def test_it_opens_with_the_right_labels_splits_and_groups(made: Made, kind: str) -> None:
    case = CASES[kind]
    found = opened(kind, made(case))
    assert [(item.path, item.label, item.split, item.group) for item in found.items] == list(case.rows)
    assert found.classes == case.classes
    spans = [(item.start_s, item.end_s) for item in found.items]
    expected = case.spans or ((None, None),) * len(spans)
    assert spans == [
        (pytest.approx(start), pytest.approx(end)) if case.spans else (start, end) for start, end in expected
    ]
    assert {item.path: item.more_labels for item in found.items if item.more_labels} == case.several
    assert found.flip, "none of the classes here knows left from right"
    assert not opened(kind, found.root, flip=False).flip or kind == "videos"
    assert found.findings.missing == found.findings.mislabeled == found.findings.unlisted == ()


@every_reader
def test_splits_share_no_group(made: Made, kind: str) -> None:
    found = opened(kind, made(CASES[kind]))
    for split in found.splits:
        inside = {item.own_group for item in found.items if item.split == split}
        assert inside.isdisjoint({item.own_group for item in found.items if item.split != split})
    assert leaks(found) == ()


@every_reader
def test_the_kind_is_found_where_that_is_safe(made: Made, kind: str) -> None:
    case = CASES[kind]
    root = made(case)
    found = detect_kind(root)
    assert (found == kind) is (case.detected or kind == "folder")
    if kind == "yupenn":
        assert found == "folder"


@every_reader
def test_the_checker_is_content_and_then_finds_the_broken_video(made: Made, decoder: ClipDecoder, kind: str) -> None:
    case = CASES[kind]
    root = made(case)
    report = check_dataset(opened(kind, root), decoder, short_frames=1)
    assert report.problems == ()
    assert report.exit_code == ExitCode.DONE
    assert {video.frames_decoded for video in report.videos} == {20}
    broken = next(name for name in case.videos if not name.endswith("/"))
    (root / broken).write_bytes(b"this is no video")
    report = check_dataset(opened(kind, root), decoder)
    assert [video.path for video in report.unreadable] == [broken]
    assert report.exit_code == ExitCode.SOME_FAILED


@every_reader
def test_a_stranger_is_never_passed_over_in_silence(made: Made, kind: str) -> None:
    root = made(CASES[kind])
    (root / "holiday with the family.avi").touch()
    found = opened(kind, root)
    told = [*found.findings.unlisted, *found.findings.ignored, *(item.path for item in found.items)]
    assert "holiday with the family.avi" in told


@pytest.mark.parametrize("kind", listed)
def test_a_missing_video_is_named(made: Made, decoder: ClipDecoder, kind: str) -> None:
    case = CASES[kind]
    root = made(case)
    assert case.gone is not None
    (root / case.gone[0]).unlink()
    found = opened(kind, root)
    assert found.findings.missing == (case.gone[1],)
    part = re.compile(r"1 of \d+ listed videos is not there: this is a part of")
    assert any(part.match(note) for note in found.findings.notes)
    assert check_dataset(found, decoder).to_dict()["missing"] == [case.gone[1]]
    for name in case.videos:
        shutil.rmtree(root / name) if name.endswith("/") else (root / name).unlink(missing_ok=True)
    with pytest.raises(InputDataError, match=r"none of the videos that the lists of .* name is there"):
        opened(kind, root)


@pytest.mark.parametrize("kind", [kind for kind, case in CASES.items() if case.moved])
def test_a_video_in_the_wrong_folder_is_named(made: Made, decoder: ClipDecoder, kind: str) -> None:
    case = CASES[kind]
    root = made(case)
    assert case.moved is not None
    (root / case.moved[1]).parent.mkdir(exist_ok=True)
    (root / case.moved[0]).rename(root / case.moved[1])
    (sentence,) = (found := opened(kind, root)).findings.mislabeled
    assert sentence.startswith(f"{case.moved[1]}: ")
    report = check_dataset(found, decoder)
    assert "1 mislabeled: place, name or list contradicts the label" in report.problems
    assert report.exit_code == ExitCode.SOME_FAILED


@pytest.mark.parametrize("kind", [kind for kind, case in CASES.items() if case.lists])
def test_marks_and_line_ends_of_other_systems_change_nothing(made: Made, tmp_path: Path, kind: str) -> None:
    case = CASES[kind]
    root = made(case)
    before = opened(kind, root).hash
    for name, text in case.lists.items():
        (root / name).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert opened(kind, root).hash == before
    if "annotations" in DATASETS[kind].options:
        folder = (root / next(iter(case.lists))).parent
        folder = folder.parent if folder.name == "original" else folder
        elsewhere = tmp_path / "elsewhere"
        if folder == root:
            elsewhere.mkdir()
            for name in case.lists:
                (root / name).rename(elsewhere / name)
        else:
            folder.rename(elsewhere)
        assert opened(kind, root, annotations=elsewhere).hash == before
        with pytest.raises(InputDataError, match=r"the folder holds no|is not found"):
            opened(kind, root, annotations=root)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, case in CASES.items() for name in case.lists], ids=str
)
def test_a_list_that_is_not_utf8_is_one_clear_error(made: Made, kind: str, name: str) -> None:
    root = made(CASES[kind])
    (root / name).write_bytes((root / name).read_bytes() + b"caf\xe9\n")
    with pytest.raises(InputDataError, match=r"(?i)utf-8") as caught:
        opened(kind, root)
    assert caught.value.path == str(root / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("kind", "number"), damaged)
def test_a_damaged_list_is_one_clear_error(made: Made, kind: str, number: int) -> None:
    name, old, new, says = CASES[kind].damage[number]
    root = made(CASES[kind])
    text = (root / name).read_text(encoding="utf-8")
    assert old is None or old in text
    (root / name).write_text(text + new if old is None else text.replace(old, new, 1 if old != '"segment"' else -1))
    with pytest.raises(TubeletError, match=says) as caught:
        opened(kind, root)
    assert caught.value.exit_code == ExitCode.BAD_DATA
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


@every_reader
def test_a_manifest_is_the_same_read_back(made: Made, tmp_path: Path, kind: str) -> None:
    found = opened(kind, made(CASES[kind]))
    table = found.to_csv(tmp_path / "manifest.csv")
    again = Manifest.from_csv(table, found.root, name=found.name, classes=found.classes, fps=25)
    assert again.items == found.items
    assert again.hash == found.hash


@pytest.mark.parametrize("kind", ["yupenn", "maryland"])
def test_scenes_are_left_out_one_video_at_a_time(made: Made, kind: str) -> None:
    found = opened(kind, made(SCENES := CASES[kind]))
    folds = list(leave_one_group_out(found))
    assert [fold.name for fold in folds] == sorted(SCENES.videos)
    assert all(len(fold.test) == 1 and len(fold.train) == 3 for fold in folds)

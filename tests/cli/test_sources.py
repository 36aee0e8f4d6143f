"""What a user may point at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tubelet.cli.sources import model_folder, name_of, open_model, open_videos
from tubelet.errors import InputDataError, UsageError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_a_model_is_a_folder_a_run_or_untrained(trained_run: Any) -> None:
    by_run, by_folder = open_model(str(trained_run.folder)), open_model(str(trained_run.folder / "model"))
    assert by_run.weights_id == by_folder.weights_id
    assert model_folder(trained_run.folder) == trained_run.folder / "model"
    assert open_model("untrained:c3d_small").weights_id == "untrained:0"
    with pytest.raises(UsageError, match="did you mean 'c3d_small'"):
        open_model("untrained:c3d_smal")
    with pytest.raises(InputDataError, match="no model folder"):
        open_model("nowhere")


def test_an_unfinished_run_is_told_from_no_run(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(InputDataError, match=r"not finished, so it has no model yet.*type its command again"):
        model_folder(tmp_path)


def test_one_file_is_one_video(tmp_path: Path) -> None:
    found = open_videos(touch(tmp_path, "clip.mp4") / "clip.mp4", None)
    assert [item.path for item in found.items] == ["clip.mp4"]
    assert found.file(found.items[0]) == tmp_path / "clip.mp4"
    assert found.items[0].label is None


@pytest.mark.parametrize("from_inside", [False, True])
def test_a_folder_of_frames_is_one_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_inside: bool) -> None:
    frames = touch(tmp_path / "walk", *(f"{number:06d}.jpg" for number in (1, 2, 3)))
    monkeypatch.chdir(frames)
    found = open_videos(Path(".") if from_inside else frames, 5.0)
    assert [item.path for item in found.items] == ["walk"]
    assert found.fps == 5.0
    assert name_of(Path(".")) == "walk"


def test_class_folders_give_labels_and_nothing_is_left_out(tmp_path: Path) -> None:
    root = touch(tmp_path / "data", "run/a.mp4", "walk/b.mp4", "walk/deeper/c.mp4", "d.mp4")
    labels = {item.path: item.label for item in open_videos(root, None).items}
    assert labels == {"run/a.mp4": "run", "walk/b.mp4": "walk", "walk/deeper/c.mp4": None, "d.mp4": None}


def test_nested_folders_without_classes_are_read_all_the_same(tmp_path: Path) -> None:
    root = touch(tmp_path / "data", "2020/05/a.mp4", "2021/06/b.avi")
    assert {item.path: item.label for item in open_videos(root, None).items} == {
        "2020/05/a.mp4": None,
        "2021/06/b.avi": None,
    }


def test_other_actors_of_weizmann_are_labeled_by_their_names(tmp_path: Path) -> None:
    root = touch(tmp_path / "data", "zoe_bend.avi", "zoe_wave2.avi")
    assert {item.path: item.label for item in open_videos(root, None).items} == {
        "zoe_bend.avi": "bend",
        "zoe_wave2.avi": "wave2",
    }


def test_a_table_says_what_there_is(tmp_path: Path) -> None:
    root = touch(tmp_path / "data", "a.mp4", "b.mp4", "unlisted.mp4")
    (root / "metadata.csv").write_text("file_name,label\na.mp4,run\nb.mp4,walk\n")
    for source in (root, root / "metadata.csv"):
        assert {item.path: item.label for item in open_videos(source, None).items} == {"a.mp4": "run", "b.mp4": "walk"}


@pytest.mark.parametrize(
    ("name", "match"), [("absent", "no such file or folder: .*absent; check the spelling"), ("empty", "holds no video")]
)
def test_nothing_there_is_an_error_of_the_data(tmp_path: Path, name: str, match: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputDataError, match=match):
        open_videos(tmp_path / name, None)


def test_runs_are_called_after_their_source(tmp_path: Path) -> None:
    (tmp_path / "v1.2").mkdir()
    assert name_of(tmp_path / "v1.2") == "v1.2", "a folder's name has no suffix"
    assert name_of(tmp_path / "clip.mp4") == "clip"
    assert name_of(Path("/")) == "videos"

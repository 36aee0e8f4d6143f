"""Stored flow of many videos: what is missing, stale or of another kind is one error with the command that mends it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tubelet.clips.modality import Modality
from tubelet.errors import InputDataError, UsageError
from tubelet.flow.library import FlowKind, flow_command, survey_flow
from tubelet.flow.record import FlowSettings

sys.path.insert(0, str(Path(__file__).parent))
from made_flow import stored, video

FLOW = Modality("flow", 10)
NAMES = ("a/0.mp4", "a/1.mp4", "b/0.mp4")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("library")
    for name in NAMES:
        file = video(root / "videos" / name, 3)
        stored(file, root / "flow" / name.removesuffix(".mp4"), FlowSettings(bound=10.0))
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage; times of the videos are kept."""
    shutil.copytree(made, tmp_path / "root")
    return tmp_path / "root"


def videos(root: Path) -> dict[str, Path]:
    return {name: root / "videos" / name for name in NAMES}


def complaint(root: Path, modality: Modality = FLOW, **more: object) -> str:
    with pytest.raises((InputDataError, UsageError)) as error:
        survey_flow(root / "flow", videos(root), modality, source=root / "videos", **more)  # type: ignore[arg-type]
    return str(error.value)


def test_the_kind_is_what_the_records_say(root: Path) -> None:
    found = survey_flow(root / "flow", videos(root), FLOW, source=root / "videos")
    assert (found.kind.algorithm, found.kind.bound, found.kind.step) == ("dis_medium", 10.0, 1)
    assert (found.kind.warped, found.kind.quality, found.notes) == (False, 95, ())
    values = found.to_dict()
    assert values["parameters"]["patch_size"] == 8  # of DIS medium in OpenCV
    assert (values["order"], values["quantization"][:29]) == ("xy", "level = round(255 (v + bound)")
    assert json.loads(json.dumps(values)) == values


def test_all_that_is_missing_or_damaged_is_one_error_with_the_command(root: Path) -> None:
    shutil.rmtree(root / "flow" / "a" / "0")
    (root / "flow" / "b" / "0" / "flow_x_00002.jpg").unlink()
    text = complaint(root)
    assert "2 of 3 videos" in text
    assert "1 missing, such as a/0.mp4; 1 damaged, such as b/0.mp4" in text
    assert text.endswith(f"run: tubelet flow {root}/videos -o {root}/flow --bound 10")


def test_a_cut_picture_and_a_changed_video_are_seen(root: Path) -> None:
    picture = root / "flow" / "a" / "1" / "flow_y_00001.jpg"
    picture.write_bytes(picture.read_bytes()[:-5])
    assert "1 incomplete, such as a/1.mp4" in complaint(root)
    shutil.copytree(root / "flow" / "a" / "0", root / "flow" / "a" / "1", dirs_exist_ok=True)
    os.utime(root / "videos" / "b" / "0.mp4")  # another time, the same content
    survey_flow(root / "flow", videos(root), FLOW, source=root)
    with (root / "videos" / "b" / "0.mp4").open("ab") as file:
        file.write(b"more")
    assert "1 computed from another version of the video, such as b/0.mp4" in complaint(root)


def test_videos_that_tubelet_flow_could_not_read_may_lack_flow(root: Path) -> None:
    shutil.rmtree(root / "flow" / "a" / "0")
    (root / "flow" / "failed.jsonl").write_text('{"video_id": "a/0.mp4", "path": "", "error": "", "kind": ""}\n')
    assert survey_flow(root / "flow", videos(root), FLOW, source=root).kind.bound == 10
    shutil.rmtree(root / "flow" / "a" / "1")
    assert "1 of 3 videos" in complaint(root)


def test_both_directions_are_asked_for(root: Path) -> None:
    text = complaint(root, Modality("flow", 20, "bidirectional"))
    assert "3 without flow in both directions" in text
    assert text.endswith("--direction both --bound 10")


def test_another_kind_is_refused_or_marked(root: Path) -> None:
    trained = FlowKind("tvl1", 20.0, 1, False, (256, 340)).to_dict()
    text = complaint(root, trained_with=trained)
    assert "algorithm dis_medium instead of tvl1, bound 10 instead of 20, resize unknown instead of 340x256" in text
    assert "run: tubelet flow" in text
    assert "-o DIR --algorithm tvl1 --resize 340x256, or mark the result with --any-flow" in text
    found = survey_flow(root / "flow", videos(root), FLOW, source=root, trained_with=trained, any_flow=True)
    assert len(found.notes) == 1
    assert "bound 10 instead of 20" in found.notes[0]
    assert not survey_flow(root / "flow", videos(root), FLOW, source=root, trained_with=found.kind.to_dict()).notes


def test_several_kinds_are_refused(root: Path) -> None:
    stored(root / "videos" / "a" / "0.mp4", root / "new", FlowSettings(bound=20.0))
    shutil.rmtree(root / "flow" / "a" / "0")
    shutil.move(root / "new", root / "flow" / "a" / "0")
    assert "2 kinds: bound 20 instead of 10" in complaint(root)


def test_plain_flow_is_not_warped_flow(root: Path) -> None:
    text = complaint(root, Modality("warped_flow", 10))
    assert "takes warped flow, and the stored flow is not warped" in text
    assert "--warped" in text


def test_flow_of_other_tools_is_read_and_noted(root: Path) -> None:
    for record in (root / "flow").rglob("flow.json"):
        record.unlink()
    found = survey_flow(root / "flow", videos(root), FLOW, source=root)
    assert (found.kind.algorithm, found.kind.bound) == ("read", 20)
    assert "its bound is taken for 20 pixels" in found.notes[0]
    assert "1 without backward flow" not in complaint(root, Modality("flow", 20, "bidirectional"))


def test_no_folder_and_the_command_of_defaults(root: Path) -> None:
    with pytest.raises(InputDataError, match="no folder of stored flow") as error:
        survey_flow(root / "no flow", videos(root), FLOW, source="my videos")
    assert str(error.value).endswith(f"run: tubelet flow 'my videos' -o '{root}/no flow'")
    settings = FlowSettings(step=2, store="compact")
    assert flow_command("v", "f", settings, FLOW) == "tubelet flow v -o f --step 2 --store compact"

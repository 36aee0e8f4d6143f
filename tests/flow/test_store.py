"""Stored flow: dense_flow's names and pictures, one interface to both forms, and what a damaged store is told."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from tubelet.errors import InputDataError, UsageError, VideoError
from tubelet.flow.check import check_flow, looks_complete, read_record
from tubelet.flow.estimate import estimate
from tubelet.flow.layout import find_flow, store_path
from tubelet.flow.record import FlowRecord, FlowSettings
from tubelet.flow.shelf import new_zip_shelf
from tubelet.flow.store import StoredFlow, open_flow

sys.path.insert(0, str(Path(__file__).parent))
from made_flow import stored, texture, video

FRAMES = 20


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return video(tmp_path_factory.mktemp("clip") / "clip.mp4", FRAMES)


@pytest.fixture(scope="module")
def both(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The clip's flow in both forms and both directions, with frames."""
    root = tmp_path_factory.mktemp("both")
    places = {"jpeg": root / "clip", "compact": root / "clip.flow.zip"}
    for kind, place in places.items():
        stored(clip, place, FlowSettings(direction="both", rgb=True, store=kind))  # type: ignore[arg-type]
    return places


def test_the_folder_has_dense_flows_names_and_gray_pictures(both: dict[str, Path]) -> None:
    names = {path.name for path in both["jpeg"].iterdir()}
    pairs = [f"{number:05d}" for number in range(1, FRAMES)]
    wanted = {f"{kind}_{number}.jpg" for kind in ("flow_x", "flow_y", "back_x", "back_y") for number in pairs}
    wanted |= {f"img_{number:05d}.jpg" for number in range(1, FRAMES + 1)}
    assert names == wanted | {"flow.json"}
    picture = cv2.imread(str(both["jpeg"] / "flow_x_00001.jpg"), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (48, 64)
    color = cv2.imread(str(both["jpeg"] / "img_00001.jpg"), cv2.IMREAD_UNCHANGED)
    assert np.abs(color[..., ::-1].astype(int) - texture(FRAMES)[0].astype(int)).mean() < 3


def test_the_zip_file_holds_the_folders_files_uncompressed(both: dict[str, Path]) -> None:
    with zipfile.ZipFile(both["compact"]) as archive:
        assert archive.testzip() is None
        members = archive.infolist()
        assert {member.compress_type for member in members} == {zipfile.ZIP_STORED}
        assert members[-1].filename == "flow.json", "the record is written last"
        for member in members[:-1]:
            assert archive.read(member) == (both["jpeg"] / member.filename).read_bytes()
        assert len(members) == len(list(both["jpeg"].iterdir()))


@pytest.mark.parametrize("kind", ["jpeg", "compact"])
def test_what_is_read_is_what_opencv_reads(both: dict[str, Path], kind: str) -> None:
    with open_flow(both[kind]) as flow:
        assert (len(flow), flow.height, flow.width) == (FRAMES - 1, 48, 64)
        assert (flow.algorithm, flow.direction, flow.bound, flow.warped) == ("dis_medium", "forward", 20.0, False)
        wanted = [3, 0, 3, 18]
        levels = flow.levels(wanted)
    for place, index in enumerate(wanted):
        for component, axis in enumerate("xy"):
            file = both["jpeg"] / f"flow_{axis}_{index + 1:05d}.jpg"
            exact = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
            # Two decoders may round a transform differently.
            assert np.abs(levels[place, :, :, component].astype(int) - exact).max() <= 1


def test_the_vectors_come_back_in_both_directions(both: dict[str, Path]) -> None:
    for direction in ("forward", "backward"):
        exact = estimate(texture(FRAMES), "dis_medium", direction=direction)  # type: ignore[arg-type]
        with open_flow(both["compact"], direction=direction) as flow:  # type: ignore[arg-type]
            read = flow.flow(range(FRAMES - 1))
        assert read.direction == direction
        # Half a level is 0.078 pixels; the pictures are smooth, and quality 95 costs little more.
        assert np.abs(read.vectors - exact.vectors).mean() < 0.1
        assert np.median(read.vectors[..., 0]) == pytest.approx(2 if direction == "forward" else -2, abs=0.25)


def test_the_record_tells_what_storing_changed(both: dict[str, Path], clip: Path) -> None:
    record = read_record(both["jpeg"])
    assert record is not None
    assert (record.frames, record.pairs, record.fps, record.decode_status) == (FRAMES, FRAMES - 1, 25.0, "ok")
    assert (record.height, record.width, record.source_hw) == (48, 64, (48, 64))
    assert record.files == 4 * (FRAMES - 1) + FRAMES
    assert record.nbytes == sum(path.stat().st_size for path in both["jpeg"].glob("*.jpg"))
    assert (record.source_size, record.video_id) == (clip.stat().st_size, "clip.mp4")
    assert record.parameters == FlowSettings().parameters()
    # Pairs 1 and 17 were read back, in both directions: the same by OpenCV, the rule of quantization in float64.
    quantized, after = [], []
    for direction, prefix in (("forward", "flow"), ("backward", "back")):
        vectors = estimate(texture(FRAMES), direction=direction).vectors.astype(float)  # type: ignore[arg-type]
        for pair in (1, 17):
            exact = vectors[pair - 1]
            quantized.append(np.abs(np.rint((exact + 20) * 6.375) / 6.375 - 20 - exact))
            files = [str(both["jpeg"] / f"{prefix}_{axis}_{pair:05d}.jpg") for axis in "xy"]
            levels = np.stack([cv2.imread(file, cv2.IMREAD_GRAYSCALE) for file in files], axis=-1)
            after.append(np.abs(levels / 6.375 - 20 - exact))
    assert record.error.pairs == 4
    assert record.error.quantized_px == pytest.approx(np.mean(quantized), rel=1e-4)
    assert record.error.stored_px == pytest.approx(np.mean(after), rel=1e-4)
    assert record.error.stored_max_px == pytest.approx(np.max(after), rel=1e-4)
    assert record.saturated_share == 0


def test_saturated_components_are_counted(clip: Path, tmp_path: Path) -> None:
    record = stored(clip, tmp_path / "s", FlowSettings(bound=1.5))
    vectors = estimate(texture(FRAMES)).vectors
    assert record.saturated_share == pytest.approx(np.mean(np.abs(vectors) > 1.5))
    assert record.saturated_share > 0.4, "x moves by 2 pixels, y by none"


def test_steps_and_sizes(clip: Path, tmp_path: Path) -> None:
    settings = FlowSettings(step=3, resize_hw=(32, 40), rgb=True)
    record = stored(clip, tmp_path / "s", settings)
    assert (record.frames, record.height, record.width, record.source_hw) == (7, 32, 40, (48, 64))
    assert record.fps == pytest.approx(25 / 3)
    with open_flow(tmp_path / "s") as flow:
        x = flow.flow([2]).vectors[0, 8:-8, 8:-8, 0]
    assert np.median(x) == pytest.approx(3 * 2 * 40 / 64, abs=0.3)
    third = cv2.imread(str(tmp_path / "s" / "img_00003.jpg"))
    exact = cv2.resize(texture(FRAMES)[6], (40, 32), interpolation=cv2.INTER_LINEAR)
    assert np.abs(third.astype(int) - exact.astype(int)).mean() < 3


def test_warped_flow_says_so(clip: Path, tmp_path: Path) -> None:
    record = stored(clip, tmp_path / "s", FlowSettings(warped=True, resize_hw=(96, 128)))
    assert record.camera_share is not None
    assert 0 <= record.camera_share <= 1
    assert "camera" in record.parameters
    with open_flow(tmp_path / "s") as flow:
        assert flow.warped
        assert flow.flow([0]).warped
        if record.camera_share == 1:  # the whole picture moves as one, which is the camera's motion
            assert np.abs(flow.flow(range(len(flow))).vectors[:, 16:-16, 16:-16]).mean() < 0.4


def test_one_frame_is_too_few(tmp_path: Path) -> None:
    video(tmp_path / "one.mp4", 1)
    with pytest.raises(VideoError, match=r"too few frames for flow: .*one\.mp4 \(1 with a step of 1, and 2 are needed"):
        stored(tmp_path / "one.mp4", tmp_path / "s", FlowSettings())
    assert [path.name for path in tmp_path.iterdir()] == ["one.mp4"], "nothing half made is left"


def test_flow_of_other_tools(shared_data: Path) -> None:
    sample = shared_data / "ucf101" / "rgb_flow_sample"
    with pytest.warns(UserWarning, match="20 pixels are assumed"):
        assumed = open_flow(sample)
    flow = open_flow(sample, bound=15)
    assert (len(flow), flow.size_hw, flow.bound, assumed.bound) == (5, (240, 320), 15.0, 20.0)
    assert (flow.algorithm, flow.record, flow.warped) == ("read", None, False)
    levels = flow.levels([1])[0]
    for component, axis in enumerate("xy"):
        exact = cv2.imread(str(sample / f"{axis}_00002.jpg"), cv2.IMREAD_GRAYSCALE)
        assert np.abs(levels[..., component].astype(int) - exact).max() <= 1
    np.testing.assert_allclose(flow.flow([1]).vectors[0], levels / 255.0 * 30 - 15, atol=1e-5)


def test_wrong_requests_are_refused(both: dict[str, Path], clip: Path, tmp_path: Path) -> None:
    flow = open_flow(both["jpeg"])
    for index in (-1, 19):
        with pytest.raises(UsageError, match=f"flow {index} does not exist.*fields 0 to 18"):
            flow.levels([index])
    with pytest.raises(UsageError, match="bound of this flow is 20, not 15"):
        open_flow(both["jpeg"], bound=15)
    stored(clip, tmp_path / "forward", FlowSettings())
    with pytest.raises(UsageError, match=r"no backward flow is stored.*--direction both"):
        open_flow(tmp_path / "forward", direction="backward")
    with pytest.raises(InputDataError, match=r"there is no stored flow.*tubelet flow"):
        open_flow(tmp_path / "gone")


def damaged_copy(source: Path, target: Path) -> Path:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
    return target


def test_a_damaged_picture_is_found(both: dict[str, Path], tmp_path: Path) -> None:
    folder = damaged_copy(both["jpeg"], tmp_path / "f")
    file = folder / "flow_y_00004.jpg"
    file.write_bytes(file.read_bytes()[:-200])
    flow = open_flow(folder)
    assert flow.levels([2]).shape == (1, 48, 64, 2)
    with pytest.raises(InputDataError, match=r"flow_y_00004\.jpg cannot be used"):
        flow.levels([3])
    record = read_record(folder)
    assert record is not None
    assert not looks_complete(folder, record)
    found = check_flow(folder)
    assert len(found) == 2, "the picture, and the bytes"
    assert "flow_y_00004.jpg" in found[0]
    assert check_flow(both["jpeg"]) == ()


def test_a_changed_byte_in_a_zip_file_is_found(both: dict[str, Path], tmp_path: Path) -> None:
    place = damaged_copy(both["compact"], tmp_path / "z.flow.zip")
    data = bytearray(place.read_bytes())
    with zipfile.ZipFile(place) as archive:
        member = archive.getinfo("back_x_00002.jpg")
    data[member.header_offset + 30 + len(member.filename) + member.file_size // 2] ^= 1
    place.write_bytes(data)
    found = check_flow(place)
    assert len(found) == 1
    assert "CRC" in found[0]
    assert check_flow(both["compact"]) == ()


def test_missing_pictures_and_records(both: dict[str, Path], tmp_path: Path) -> None:
    folder = damaged_copy(both["jpeg"], tmp_path / "gap")
    (folder / "flow_x_00005.jpg").unlink()
    with pytest.raises(InputDataError, match=r"pictures of the stored flow are missing.*18 flow_x_.*19 flow_y_"):
        open_flow(folder)
    for axis in "xy":
        for number in range(10, 20):
            (folder / f"flow_{axis}_{number:05d}.jpg").unlink(missing_ok=True)
        (folder / f"flow_{axis}_00005.jpg").unlink(missing_ok=True)
        for number in range(6, 10):
            (folder / f"flow_{axis}_{number:05d}.jpg").unlink()
    with pytest.raises(InputDataError, match="4 pairs of pictures are there, 19 were stored"):
        open_flow(folder)
    (folder / "flow.json").write_text("{half")
    with pytest.raises(InputDataError, match=r"flow\.json is damaged"):
        open_flow(folder)
    assert read_record(folder) is None
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputDataError, match=r"no flow is stored here.*there is no flow_x_00001\.jpg"):
        open_flow(tmp_path / "empty", bound=20)


def test_a_zip_file_cannot_unpack_to_more_than_it_is(tmp_path: Path) -> None:
    place = tmp_path / "bomb.flow.zip"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for axis in "xy":
            archive.writestr(f"flow_{axis}_00001.jpg", bytes(1 << 20))
    with pytest.raises(InputDataError, match="is compressed"):
        open_flow(place, bound=20).levels([0])
    place.write_bytes(b"no zip file")
    with pytest.raises(InputDataError, match="not a zip file"):
        open_flow(place)


def test_a_zip_file_larger_than_what_is_kept_in_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = {f"{number}.bin": rng.bytes(int(rng.integers(0, 300_000))) for number in range(30)}
    files["large.bin"] = rng.bytes(3 << 20)
    with new_zip_shelf(tmp_path / "a.zip") as shelf:
        for name, data in files.items():
            shelf.add(name, data)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == files
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_the_record_comes_back_from_json(both: dict[str, Path]) -> None:
    record = read_record(both["compact"])
    assert record is not None
    values = json.loads(json.dumps(record.to_dict()))
    assert FlowRecord.from_dict(values, "x") == record
    with pytest.raises(InputDataError, match="not a record of this version"):
        FlowRecord.from_dict({**values, "format": "tubelet-flow-9"}, "x")
    with pytest.raises(InputDataError, match=r"flow\.json is damaged"):
        FlowRecord.from_dict({**values, "error": {}}, "x")


def test_flow_is_found_by_the_videos_id(tmp_path: Path) -> None:
    assert store_path(tmp_path, "a/b.avi", "jpeg", is_folder=False) == tmp_path / "a" / "b"
    assert store_path(tmp_path, "a/b.avi", "compact", is_folder=False) == tmp_path / "a" / "b.flow.zip"
    assert store_path(tmp_path, "a/b.c", "jpeg", is_folder=True) == tmp_path / "a" / "b.c"
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "d.flow.zip").touch()
    assert find_flow(tmp_path, "a/b.avi") == tmp_path / "a" / "b"
    assert find_flow(tmp_path, "a/d.avi") == tmp_path / "a" / "d.flow.zip"
    with pytest.raises(InputDataError, match=r"no stored flow of a/e\.avi"):
        find_flow(tmp_path, "a/e.avi")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"algorithm": "brox"}, "brox"),
        ({"direction": "sideways"}, "forward, backward, both"),
        ({"store": "tar"}, "jpeg, compact"),
        ({"step": 0}, "step of flow is 0"),
        ({"quality": 101}, "quality is 101"),
        ({"bound": 0.0}, "bound of flow is 0"),
        ({"resize_hw": (8, 40)}, "40x8 pixels"),
    ],
)
def test_wrong_settings_are_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        FlowSettings(**values)  # type: ignore[arg-type]


def test_nothing_stays_open(both: dict[str, Path]) -> None:
    flow = open_flow(both["compact"])
    flow.close()
    assert flow.levels([0]).shape == (1, 48, 64, 2), "reading opens it again"
    flow.close()
    assert isinstance(flow, StoredFlow)

"""Stored trajectories: what comes back, what a draw takes, and what damaged and hostile files are answered."""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

sys.path.insert(0, str(Path(__file__).parent))
from made_trajectories import SETTINGS, made_up, put, record_of

from tubelet.baselines.idt.draw import Draw
from tubelet.baselines.idt.record import TrajectoryRecord, trajectory_bytes
from tubelet.baselines.idt.settings import IdtSettings
from tubelet.baselines.idt.store import (
    TRAJECTORIES_SUFFIX,
    TrajectoryFile,
    TrajectoryStore,
    TrajectoryWriter,
    has_trajectories,
    stored_settings,
)
from tubelet.errors import InputDataError, UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos of 30, 0 and 90 trajectories."""
    root = tmp_path_factory.mktemp("trajectories")
    put(root, "run/b.avi", made_up(90, seed=2))
    put(root, "a.avi", made_up(30, seed=1))
    put(root, "still.avi", made_up(0))
    (root / "failed.jsonl").write_text(
        '{"video_id": "bad.avi", "path": "v/bad.avi", "error": "no video", "kind": "E"}\n'
    )
    return root


def test_channels_come_back_within_half_a_step_of_float16_and_points_as_they_were(folder: Path) -> None:
    store, given = TrajectoryStore(folder), made_up(30, seed=1)
    for name, values in store.channels("a.avi").items():
        assert values.dtype == np.float32
        assert values.shape == (30, SETTINGS.dims()[name])
        # float16 has 11 digits: below 1 its steps are 2^-11 at most.
        assert np.abs(values - given.channels[name]).max() <= 2**-12
    back = TrajectoryFile(folder / f"a.avi{TRAJECTORIES_SUFFIX}").trajectories()
    for name in ("points", "first_frame", "scale"):
        np.testing.assert_array_equal(getattr(back, name), getattr(given, name))
    assert {name: len(values) for name, values in store.channels("still.avi").items()} == dict.fromkeys(
        SETTINGS.dims(), 0
    )


def test_any_reader_of_safetensors_opens_the_file(folder: Path) -> None:
    arrays = load_file(folder / "run" / f"b.avi{TRAJECTORIES_SUFFIX}")
    assert {name: (array.dtype.str, array.shape) for name, array in arrays.items()} == {
        "points": ("<f4", (90, 16, 2)), "first_frame": ("<i4", (90,)), "scale": ("|u1", (90,)),
        "shape": ("<f2", (90, 30)), "hog": ("<f2", (90, 96)), "hof": ("<f2", (90, 108)),
        "mbhx": ("<f2", (90, 96)), "mbhy": ("<f2", (90, 96)),
    }  # fmt: skip
    # 426 numbers of 2 bytes; 16 points of 2 numbers, the first frame, the scale.
    assert trajectory_bytes(IdtSettings()) == 2 * 426 + 4 * 32 + 4 + 1 == sum(a.nbytes for a in arrays.values()) // 90


def test_the_store_says_what_is_in_it(folder: Path) -> None:
    store = TrajectoryStore(folder)
    assert store.video_ids.tolist() == ["a.avi", "run/b.avi", "still.avi"]
    assert store.facts == {
        "model": "idt",
        "settings": stored_settings(SETTINGS),
        "opencv_version": "4.12.0",
        "model_source": None,
    }
    assert json.loads(json.dumps(store.facts)) == store.facts
    assert store.failed == {"bad.avi": "no video"}
    assert store.record("a.avi") == record_of("a.avi", 30)
    assert has_trajectories(folder)
    with pytest.raises(UsageError, match=r"no trajectories are stored of c\.avi"):
        store.channels("c.avi")


def test_settings_come_back_as_they_were() -> None:
    for settings in (IdtSettings(), IdtSettings(scales=3, camera=None)):
        values = json.loads(json.dumps(stored_settings(settings)))
        assert IdtSettings.from_dict(values) == settings
        assert "opencv" not in values["flow_settings"], "another version makes nothing stale"
    assert stored_settings(SETTINGS, seed=3) == stored_settings(SETTINGS), "without a draw a seed says nothing"
    assert stored_settings(SETTINGS, 5, seed=3)["seed"] == 3


def test_the_hash_follows_ids_content_and_settings(folder: Path, tmp_path: Path) -> None:
    def hash_of(name: str, video_id: str, seed: int, settings: IdtSettings = SETTINGS, **changed: object) -> str:
        put(tmp_path / name, video_id, made_up(4, seed), settings=settings)
        return TrajectoryStore(tmp_path / name).hash

    first = hash_of("one", "a.avi", 0)
    assert len(first) == 64
    assert hash_of("same", "a.avi", 0) == first
    others = [hash_of("id", "b.avi", 0), hash_of("content", "a.avi", 1)]
    others.append(hash_of("settings", "a.avi", 0, IdtSettings(scales=2, camera=None)))
    assert len({first, *others}) == 4


def test_the_hash_of_a_channel_is_that_of_its_bytes(folder: Path) -> None:
    path = folder / f"a.avi{TRAJECTORIES_SUFFIX}"
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    hashes = json.loads(header["__metadata__"]["sha256"])
    for name, array in load_file(path).items():
        assert hashes[name] == hashlib.sha256(array.tobytes()).hexdigest()


def test_a_draw_is_the_same_rows_of_all_channels_whatever_the_order_of_ids(folder: Path) -> None:
    store = TrajectoryStore(folder)
    ids = ["run/b.avi", "still.avi", "a.avi"]
    found = store.sample(ids, 40, seed=3)
    assert {name: values.shape for name, values in found.items()} == {
        name: (40, size) for name, size in SETTINGS.dims().items()
    }
    both = {name: np.concatenate([store.channels("a.avi")[name], store.channels("run/b.avi")[name]]) for name in found}
    rows = [int(np.flatnonzero((both["hog"] == row).all(axis=1)).item()) for row in found["hog"]]
    assert rows == sorted(set(rows)), "each at most once"
    for name in found:
        np.testing.assert_array_equal(found[name], both[name][rows])
        np.testing.assert_array_equal(found[name], store.sample([*ids[::-1], "a.avi"], 40, seed=3)[name])
    assert not np.array_equal(store.sample(ids, 40, seed=4)["hog"], found["hog"])
    np.testing.assert_array_equal(store.sample(ids, 120, seed=4)["hof"], both["hof"])
    with pytest.raises(UsageError, match="from no video"):
        store.sample([], 5, 0)


def test_every_trajectory_is_drawn_as_often(tmp_path: Path) -> None:
    both = made_up(120)
    put(tmp_path, "a.avi", both.take(np.arange(30)))
    put(tmp_path, "b.avi", both.take(np.arange(30, 120)))
    store = TrajectoryStore(tmp_path)
    drawn = np.zeros(120)
    for seed in range(300):
        numbers = (store.sample(["a.avi", "b.avi"], 24, seed)["shape"][:, 0] * 1024).astype(int)
        assert len(set(numbers.tolist())) == 24
        drawn[numbers] += 1
    # 300 draws of 24 among 120: 60 each, standard deviation sqrt(300 · 0.2 · 0.8) = 6.9.
    assert np.abs(drawn - 60).max() < 5 * 6.93


def test_a_draw_reads_only_its_rows(tmp_path: Path) -> None:
    put(tmp_path, "long.avi", made_up(20_000))  # 20 MB
    store = TrajectoryStore(tmp_path)
    tracemalloc.start()
    try:
        found = store.sample(["long.avi"], 100, seed=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found["hog"]) == 100
    assert peak < 2e6


def test_writing_by_parts_is_writing_at_once(tmp_path: Path) -> None:
    whole = made_up(50)
    at_once = put(tmp_path / "one", "a.avi", whole)
    (tmp_path / "two").mkdir()
    by_parts = tmp_path / "two" / at_once.name
    with TrajectoryWriter(by_parts, SETTINGS) as writer:
        for rows in np.split(np.arange(50), [7, 7, 30]):
            writer.add(whole.take(rows))
        assert list((tmp_path / "two").iterdir()) == [], "what is collected has no name yet"
        assert (writer.kept, writer.nbytes) == (50, 50 * 985)
        writer.finish(record_of("a.avi", 50))
    assert by_parts.read_bytes() == at_once.read_bytes()


def test_a_draw_while_they_come_is_uniform_and_small() -> None:
    whole = made_up(200)
    counts = np.zeros(200)
    for seed in range(150):
        draw = Draw(20, seed, SETTINGS)
        for start in range(0, 200, 8):
            draw.add(whole.take(np.arange(start, start + 8)))
            assert draw.held <= 1.5 * 20
        numbers = (draw.kept().channels["shape"][:, 0] * 1024).astype(int)
        assert len(numbers) == 20
        assert (np.diff(numbers) > 0).all(), "in the order in which they came"
        counts[numbers] += 1
    # 150 draws of 20 among 200: 15 each, standard deviation sqrt(150 · 0.1 · 0.9) = 3.7; 200 numbers.
    assert np.abs(counts - 15).max() < 5 * 3.68
    one = Draw(20, 149, SETTINGS)
    one.add(whole)
    np.testing.assert_array_equal(one.kept().points, draw.kept().points)
    few = Draw(20, 0, SETTINGS)
    few.add(whole.take(np.arange(12)))
    assert len(few.kept()) == 12
    assert len(Draw(20, 0, SETTINGS).kept()) == 0


def test_nothing_mixed_and_misplaced_is_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert not has_trajectories(tmp_path / "empty")
    assert not has_trajectories(tmp_path / "absent")
    with pytest.raises(InputDataError, match=r"no trajectories are stored here.*--model idt"):
        TrajectoryStore(tmp_path / "empty")
    put(tmp_path / "mixed", "a.avi", made_up(3))
    put(tmp_path / "mixed", "b.avi", made_up(3), settings=IdtSettings(scales=2, camera=None))
    with pytest.raises(InputDataError, match=r"of a\.avi and b\.avi were computed with other settings"):
        TrajectoryStore(tmp_path / "mixed")
    path = put(tmp_path / "moved", "a.avi", made_up(3))
    path.rename(path.with_name(f"c.avi{TRAJECTORIES_SUFFIX}"))
    with pytest.raises(InputDataError, match=r"of a\.avi lie where those of c\.avi belong"):
        TrajectoryStore(tmp_path / "moved")


def changed_header(path: Path, change: Callable[[dict], None]) -> None:
    """Rewrite a file's header, which then may have any length."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


def record_with(**values: object) -> Callable[[dict], None]:
    def change(header: dict) -> None:
        record = json.loads(header["__metadata__"]["tubelet"])
        header["__metadata__"]["tubelet"] = json.dumps({**record, **values})

    return change


def settings_with(**values: object) -> Callable[[dict], None]:
    return record_with(settings={**stored_settings(SETTINGS), **values})


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["hog"].update(shape=[5, 48], dtype="F32"),
        lambda header: header["hog"].update(data_offsets=[0, 1 << 40]),
        lambda header: header["scale"].update(dtype="I8"),
        lambda header: header.pop("__metadata__"),
        lambda header: header["__metadata__"].update(tubelet="[" * 100_000),
        lambda header: header["__metadata__"].update(sha256="7"),
        lambda header: header["__metadata__"].update(sha256="{}"),
        record_with(kept=6),
        record_with(kept="5"),
        record_with(format="tubelet-idt-9"),
        record_with(settings=[]),
        settings_with(length=0),
        settings_with(cells=10**30),
        settings_with(camera={"eyes": 2}),
        settings_with(flow="magic"),
    ],
)
def test_a_file_that_says_nonsense_is_named(tmp_path: Path, change: Callable[[dict], None]) -> None:
    path = put(tmp_path, "a.avi", made_up(5))
    changed_header(path, change)
    with pytest.raises(InputDataError, match="stored trajectories are damaged") as told:
        TrajectoryStore(tmp_path)
    assert str(path) in str(told.value)
    assert "tubelet extract" in str(told.value)


@pytest.mark.parametrize("data", [b"", b"\xff" * 64, pickle.dumps({"points": 1}), b"\x02" + bytes(7) + b"{}"])
def test_a_file_of_another_kind_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / f"a.avi{TRAJECTORIES_SUFFIX}"
    path.write_bytes(data)
    with pytest.raises(InputDataError, match="stored trajectories are damaged") as told:
        TrajectoryStore(tmp_path)
    assert str(path) in str(told.value)


def test_a_shorter_file_is_found_at_once_and_a_changed_byte_when_it_is_read(tmp_path: Path) -> None:
    path = put(tmp_path, "a.avi", made_up(40))
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(InputDataError, match="damaged"):
        TrajectoryStore(tmp_path)
    spoiled = bytearray(data)
    spoiled[data.index(made_up(40).channels["hof"].astype("<f2").tobytes()) + 100] ^= 1
    path.write_bytes(spoiled)
    store = TrajectoryStore(tmp_path)
    with pytest.raises(InputDataError, match="hof is not what was written"):
        store.channels("a.avi")


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    found = made_up(5)
    found.channels["mbhx"][2, 3] = np.nan
    put(tmp_path, "a.avi", found)
    store = TrajectoryStore(tmp_path)
    for read in (lambda: store.channels("a.avi"), lambda: store.sample(["a.avi"], 9, 0)):
        with pytest.raises(InputDataError, match="a number is not finite"):
            read()


def test_a_plain_safetensors_file_is_none_of_ours(tmp_path: Path) -> None:
    save_file({"hog": np.zeros((3, 96), np.float16)}, tmp_path / f"a.avi{TRAJECTORIES_SUFFIX}")
    with pytest.raises(InputDataError, match="its header is not one of trajectories"):
        TrajectoryStore(tmp_path)


def test_a_record_is_json_and_back() -> None:
    record = record_of("a.avi", 3, fps=None, decode_status="partial", problems=("lost a frame",))
    assert TrajectoryRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record
    assert record.nbytes == 3 * 985

"""Rounds: turns in order, what is kept, resuming, bad videos; with processes and clocks that are made up."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from protocols.made_runtime import C3D, NAMES, made_methods, made_round
from tubelet.errors import InputDataError, MissingExtraError, UsageError, VideoError
from tubelet.protocols import runtime_rounds
from tubelet.protocols.runtime_clips import Clip
from tubelet.protocols.runtime_rounds import Descriptor, Journal, known_methods, run_rounds
from tubelet.protocols.runtime_turns import Method, Turn


@dataclass
class MadeClips:
    """As `tubelet.protocols.runtime_clips.Clips`, without files."""

    names: list[str] = field(default_factory=lambda: ["a", "b", "c"])
    failed: list[tuple[str, str]] = field(default_factory=list)

    def __getitem__(self, index: int) -> Clip:
        if not self.names:
            raise InputDataError("not one of the videos can be measured on")
        return Clip(self.names[index % len(self.names)], Path("x"), 64, (320, 240))

    def drop(self, clip: Clip, why: str) -> None:
        self.names.remove(clip.video_id)
        self.failed.append((clip.video_id, why))

    def warm_up(self) -> Clip:
        return Clip("a", Path("warm"), 16, (320, 240))


@dataclass
class Stage:
    """What the made-up processes do, and what they were asked."""

    asked: list[tuple[str, str]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    now: float = 0.0
    fail: dict[tuple[str, str], BaseException] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def run(self, folder: Path, clips: MadeClips | None = None, **options: Any) -> Journal:
        journal = Journal(folder / "rounds.jsonl")
        run_rounds(
            made_methods("idt", "dis"), C3D, clips or MadeClips(), journal,  # type: ignore[arg-type]
            folder=folder, say=self.told.append, clock=lambda: self.now, **options,
        )  # fmt: skip
        return journal


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage()

    class MadeWaiting:
        def __init__(self, method: Method, descriptor: Descriptor, threads: int, out: Path) -> None:
            self.method = method

        def start(self) -> float:
            made.asked.append((self.method.name, "start"))
            return 2.0

        def turn(self, clip: Clip) -> Turn:
            video = "warm-up" if clip.path.name == "warm" else clip.video_id
            made.asked.append((self.method.name, video))
            if (self.method.name, video) in made.fail:
                raise made.fail[self.method.name, video]
            made.now += 5.0
            return Turn(clip.frames, 5.0, 4.5, 1, 1)

        def close(self) -> None:
            made.closed.append(self.method.name)

    monkeypatch.setattr(runtime_rounds, "Waiting", MadeWaiting)
    return made


def test_methods_take_turns_and_every_round_is_kept(stage: Stage, tmp_path: Path) -> None:
    journal = stage.run(tmp_path, rounds=4)
    turns = [asked for asked in stage.asked if asked[1] in ("a", "b", "c")]
    assert turns == [(name, video) for video in ("a", "b", "c", "a") for name in ("idt", "dis")]
    assert [one.video_id for one in journal.rounds] == ["a", "b", "c", "a"]
    assert journal.rounds[0].turns["idt"] == Turn(64, 5.0, 4.5, 1, 1)
    assert sorted(stage.closed) == ["dis", "idt"]
    # A first run of 5 s over 16 frames: two methods may take 2 x 20 s over 64, and four rounds 160 s.
    assert "4 rounds of about 40 s: 2:40" in stage.told
    assert stage.told[-1].startswith("[4/4] a: idt 12.80; dis 12.80 frames/s")
    assert "idt: ready after 2.0 s, first run over 16 frames 5.0 s" in stage.told
    assert [(m.start_s, m.warm_up_s) for m in journal.methods(made_methods("idt", "dis"))] == [(2.0, 5.0)] * 2


def test_a_descriptor_is_called_by_its_network(stage: Stage, tmp_path: Path) -> None:
    network = Descriptor("hf:videomae", "videomae", "hidden")
    run_rounds(
        known_methods(["c3d"], network), network, MadeClips(), Journal(tmp_path / "rounds.jsonl"),  # type: ignore[arg-type]
        rounds=1, folder=tmp_path, say=stage.told.append, clock=lambda: stage.now,
    )  # fmt: skip
    assert "[1/1] a: videomae hidden, float32 12.80 frames/s" in stage.told
    assert not [line for line in stage.told if "c3d" in line]


def test_an_interrupted_run_goes_on_with_its_next_round(stage: Stage, tmp_path: Path) -> None:
    stage.fail["dis", "b"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        stage.run(tmp_path, rounds=3)
    assert sorted(stage.closed) == ["dis", "idt"]
    stage.fail.clear()
    stage.asked.clear()
    journal = stage.run(tmp_path, rounds=3)
    assert [one.video_id for one in journal.rounds] == ["a", "b", "c"]
    assert ("idt", "a") not in stage.asked


def test_a_finished_run_starts_nothing_and_more_rounds_add_to_it(stage: Stage, tmp_path: Path) -> None:
    stage.run(tmp_path, rounds=2)
    stage.asked.clear()
    assert len(stage.run(tmp_path, rounds=2).rounds) == 2
    assert stage.asked == []
    assert [one.video_id for one in stage.run(tmp_path, rounds=3).rounds] == ["a", "b", "c"]


def test_a_torn_last_line_is_no_round(stage: Stage, tmp_path: Path) -> None:
    stage.run(tmp_path, rounds=2)
    file = tmp_path / "rounds.jsonl"
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole[:-20], encoding="utf-8")
    assert [one.video_id for one in stage.run(tmp_path, rounds=2).rounds] == ["a", "b"]
    assert file.read_text(encoding="utf-8").count('"video_id"') == 2
    file.write_text("{}\n" + whole, encoding="utf-8")
    with pytest.raises(InputDataError, match="line 1"):
        Journal(file)


def test_no_round_is_begun_that_would_end_too_late(stage: Stage, tmp_path: Path) -> None:
    # By the made-up clock first runs and every round take 10 s: after two rounds 30 of 35 s are gone.
    assert len(stage.run(tmp_path, rounds=7, seconds=35.0).rounds) == 2
    assert stage.told[-1] == "another round would not end within 35 s: 2 of 7 are done"
    (tmp_path / "again").mkdir()
    assert len(stage.run(tmp_path / "again", rounds=7, seconds=1.0).rounds) == 1  # one is always done


def test_a_video_that_one_method_cannot_take_is_left_out_of_all(stage: Stage, tmp_path: Path) -> None:
    stage.fail["dis", "b"] = VideoError("too odd", path="b")
    clips = MadeClips()
    journal = stage.run(tmp_path, clips, rounds=3)
    assert [one.video_id for one in journal.rounds] == ["a", "c", "a"]
    assert journal.failed == [("b", "too odd: b")]
    assert "b is left out of all methods: too odd: b" in stage.told
    # What a file has done to its process is not known, so the method starts again.
    assert stage.asked.count(("dis", "start")) == 2
    assert Journal(tmp_path / "rounds.jsonl").failed == journal.failed


def test_when_every_video_fails_the_run_ends(stage: Stage, tmp_path: Path) -> None:
    stage.fail |= {("idt", name): VideoError("too odd", path=name) for name in ("a", "b", "c")}
    with pytest.raises(InputDataError, match="not one of the videos"):
        stage.run(tmp_path, rounds=3)


def test_what_is_no_video_s_fault_ends_the_run(stage: Stage, tmp_path: Path) -> None:
    stage.fail["dis", "a"] = MissingExtraError("no OpenCV")
    with pytest.raises(MissingExtraError):
        stage.run(tmp_path, rounds=3)


@pytest.mark.parametrize("names", [[], ["c3d", "brox"], ["idt", "idt"]])
def test_unknown_methods_are_refused(names: list[str]) -> None:
    with pytest.raises(UsageError, match="c3d, c3d_bf16, idt, tvl1, dis"):
        known_methods(names, C3D)


def test_another_network_is_said_to_be_another() -> None:
    c3d, small = (known_methods(["c3d"], Descriptor("m", name, "fc6"))[0] for name in ("c3d", "c3d_small"))
    assert (c3d.unlike, small.unlike) == ("", "another network than the paper's, which is C3D")
    assert small.label == small.short == "c3d_small fc6, float32"
    assert [method.short for method in known_methods(["idt", "tvl1"], C3D)] == ["idt", "tvl1"]
    assert tuple(made_round((1.0, 1.0, 1.0, 1.0)).turns) == NAMES

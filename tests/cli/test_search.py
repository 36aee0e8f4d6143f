"""``tubelet search``: nearest clips by cosine, checked against a plain loop over the table's rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pytest

from tubelet.models.registry import create_model
from tubelet.video.encode import encode
from tubelet.video.reader import Video

Tubelet = Callable[..., Any]
ORIGINAL = "test/down/down_00000.avi"


@pytest.fixture(scope="module")
def table(trained_run: Any) -> Path:
    """The descriptors of the run: all 30 videos, layers fc6 and prob."""
    return Path(trained_run.folder / "descriptors")


@pytest.fixture(scope="module")
def copy(trained_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of the videos, encoded again by another codec in another container."""
    with Video(trained_run.videos / ORIGINAL) as video:
        frames = video.frames(range(len(video)))
    return encode(
        tmp_path_factory.mktemp("copy") / "found on the net.mp4", frames, codec="libx264", options={"crf": "23"}
    )


def test_a_copy_finds_its_original_first(tubelet: Tubelet, table: Path, copy: Path, trained_run: Any) -> None:
    found = tubelet("search", copy, "--in", table, "--model", trained_run.folder, "-k", 5, "--json")
    assert found.code == 0
    record = found.json
    assert (record["layer"], record["level"], record["left_out"]) == ("fc6", "clip", None)
    hits = record["hits"]
    assert [hit["rank"] for hit in hits] == [1, 2, 3, 4, 5]
    assert hits[0]["path"] == str(trained_run.videos / ORIGINAL)
    assert (hits[0]["start_s"], hits[0]["end_s"]) in {(0.0, 0.64), (0.32, 0.96)}
    assert hits[0]["score"] > hits[1]["score"]
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)


def test_the_query_itself_is_left_out_and_scores_are_cosines(tubelet: Tubelet, table: Path, trained_run: Any) -> None:
    found = tubelet("search", trained_run.videos / ORIGINAL, "--in", table, "--model", trained_run.folder, "-k", 3)
    assert found.code == 0
    assert f"{ORIGINAL} is the query itself and is left out" in found.err
    rows = lancedb.connect(table).open_table("descriptors").to_arrow().to_pylist()
    query = sum(np.array(row["vector_fc6"]) for row in rows if row["video_id"] == ORIGINAL)
    best: dict[str, tuple[float, float, float]] = {}
    for row in rows:  # both clips of a video overlap in time, so only the nearer one counts
        vector = np.array(row["vector_fc6"])
        score = float(vector @ query / np.linalg.norm(vector) / np.linalg.norm(query))
        if row["video_id"] != ORIGINAL:
            best[row["path"]] = max(best.get(row["path"], (-2.0, 0.0, 0.0)), (score, row["start_s"], row["end_s"]))
    wanted = sorted(best.items(), key=lambda entry: -entry[1][0])[:3]
    printed = [line.split(maxsplit=4) for line in found.out.splitlines()]
    assert [line[4] for line in printed] == [path for path, _ in wanted]
    for rank, (line, (_, (score, start, end))) in enumerate(zip(printed, wanted, strict=True), start=1):
        assert int(line[0]) == rank
        assert float(line[1]) == pytest.approx(score, abs=1e-4)
        assert line[2] == f"{start:.2f}-{end:.2f}"


def test_videos_by_one_moment_of_the_query(tubelet: Tubelet, table: Path, copy: Path, trained_run: Any) -> None:
    found = tubelet(
        "search", copy, "--in", table, "--model", trained_run.folder / "model", "--level", "video", "--start-s", 0.6,
        "-k", 2, "--layer", "fc6", "--json",
    )  # fmt: skip
    hits = found.json["hits"]
    assert hits[0]["path"] == str(trained_run.videos / ORIGINAL)
    assert (hits[0]["start_s"], hits[0]["end_s"], hits[0]["clip_index"]) == (0.0, 0.96, None)


def test_a_table_knows_its_model(tubelet: Tubelet, table: Path, copy: Path, trained_run: Any, tmp_path: Path) -> None:
    named = tubelet("search", copy, "--in", table, "--model", trained_run.folder, "--json")
    assert tubelet("search", copy, "--in", table, "--json").json == named.json
    bare = shutil.copytree(table, tmp_path / "table")
    (bare / "provenance.json").unlink()
    found = tubelet("search", copy, "--in", bare)
    assert found.code == 2
    assert found.complaint.endswith("name it with --model")


def test_another_models_table_is_refused(tubelet: Tubelet, table: Path, copy: Path, tmp_path: Path) -> None:
    create_model("c3d_small", 10, seed=1).save(tmp_path / "model")
    found = tubelet("search", copy, "--in", table, "--model", tmp_path / "model")
    assert (found.code, found.out) == (4, "")
    assert found.complaint.startswith(f"the table was made by other weights: {table} (")
    assert found.complaint.endswith("give the model that made it with --model, or extract again with this one")


def test_another_recipes_table_is_refused(
    tubelet: Tubelet, table: Path, copy: Path, trained_run: Any, tmp_path: Path
) -> None:
    model = shutil.copytree(trained_run.folder / "model", tmp_path / "model")
    recipe = model / "preprocessor_config.json"
    recipe.write_text(recipe.read_text().replace('"rgb"', '"bgr"'))
    found = tubelet("search", copy, "--in", table, "--model", model)
    assert found.code == 4
    assert found.complaint.startswith("the table was made with another recipe")


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--layer", "pool5"], 2, "pool5"),
        (["--level", "frame"], 2, "--level cannot be 'frame'; use one of clip, video"),
        (["--in", "nowhere"], 4, "there is no descriptor table here: nowhere"),
        (["--model", "nowhere"], 4, "this is no model folder: nowhere"),
        (["-k", "0"], 2, "invalid value for '-k'"),
    ],
)
def test_a_wrong_command_says_what_to_do(
    tubelet: Tubelet, table: Path, copy: Path, trained_run: Any, arguments: list[str], code: int, complaint: str
) -> None:
    model = [] if "--model" in arguments else ["--model", trained_run.folder]
    found = tubelet("search", copy, "--in", table, *model, *arguments)
    assert (found.code, found.out) == (code, "")
    assert complaint in found.complaint


def test_a_missing_clip_is_told_at_once(tubelet: Tubelet, table: Path, trained_run: Any) -> None:
    found = tubelet("search", "absent.mp4", "--in", table, "--model", trained_run.folder)
    assert (found.code, found.complaint) == (4, "there is no such video: absent.mp4; check the spelling of the path")

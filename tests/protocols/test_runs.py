"""Run folders read back: every form that the protocols write, and what is no run, no longer or not yet readable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from protocols.made_results import first, made
from tubelet.artifacts import write_json, write_text
from tubelet.errors import InputDataError
from tubelet.protocols.results_table import results_tables
from tubelet.protocols.runs import NoRunError, UnfinishedRunError, read_run, read_runs, run_folders, run_names


def rows(folder: Path) -> list[tuple[str, float, int, int]]:
    return [(one.name, one.result.value, one.seeds, len(one.splits)) for one in read_run(folder, folder.name).systems]


def test_a_training_and_a_single_evaluation(tmp_path: Path) -> None:
    net, svm = made(first(9)), made(first(12), name="linear SVM on fc6")
    write_json(tmp_path / "t" / "result.json", {"svm": svm.to_dict(), "net": net.to_dict(), "failed": []})
    assert rows(tmp_path / "t") == [("linear SVM on fc6", 1.0, 1, 1), ("network", 0.75, 1, 1)]
    write_json(tmp_path / "v" / "result.json", {**net.to_dict(), "hits": [{"name": "video hit@1", "value": 0.75}]})
    assert rows(tmp_path / "v") == [("network", 0.75, 1, 1)]
    write_json(tmp_path / "n" / "result.json", {"svm": None, "net": net.to_dict(), "failed": []})
    assert rows(tmp_path / "n") == [("network", 0.75, 1, 1)]


def test_seeds_are_one_row(tmp_path: Path) -> None:
    seeds = {str(seed): {"svm": None, "net": made(first(count)).to_dict()} for seed, count in ((0, 9), (2, 6))}
    write_json(tmp_path / "now" / "result.json", {"seeds": seeds, "summary": [{"protocol": "network", "mean": 0.625}]})
    assert rows(tmp_path / "now") == [("network", 0.625, 2, 1)]
    # Before the folder had a result of its own, only those of its seeds were there.
    for seed, found in seeds.items():
        write_json(tmp_path / "before" / f"seed{seed}" / "result.json", found)
    write_json(tmp_path / "before" / "env.json", {"tool_version": "0.1.0", "command": ["tubelet", "evaluate"]})
    with pytest.raises(UnfinishedRunError):
        rows(tmp_path / "before")
    write_text(tmp_path / "before" / "report.html", "<html>")
    assert rows(tmp_path / "before") == [("network", 0.625, 2, 1)]


def test_streams_have_their_costs_and_fusions_those_of_their_streams(tmp_path: Path) -> None:
    streams = [
        {**made(first(count), name=name).to_dict(), "parameters": cost, "macs": 10 * cost, "input": [3, 1, 8, 8]}
        for name, count, cost in (("rgb", 6, 100), ("flow", 9, 200))
    ]
    fusion = {**made(first(10), name="both").to_dict(), "streams": ["rgb", "flow"], "weights": [1, 1.5], "by": "scores"}
    difference = {"first": "rgb", "second": "flow", "accuracy": 0.25}
    write_json(
        tmp_path / "result.json",
        {"name": "x", "streams": streams, "fusions": [fusion], "differences": [difference], "primary": True,
         "provenance": {"tool_version": "0.1.0", "command": ["m", "evaluate", "streams", "--data", "videos"]}},
    )  # fmt: skip
    run = read_run(tmp_path, "x")
    costs = [(one.name, one.parameters, one.macs, one.networks[0].input) for one in run.systems]
    assert costs[:2] == [("rgb", 100, 1000, (3, 1, 8, 8)), ("flow", 200, 2000, (3, 1, 8, 8))]
    both = run.systems[2]
    assert (both.parameters, both.macs, both.made_of) == (300, 3000, ("rgb", "flow"))
    assert both.fused_as == "rgb + 1.5 flow, scores before softmax"
    assert run.planned == ("rgb", "flow")
    assert run.data_folder == Path("videos")


def test_fused_score_files_know_their_networks(tmp_path: Path) -> None:
    settings = {
        "streams": ["a", "b"], "weights": [1.0, 2.0], "by": ["softmax"],
        "networks": [{"model": "c3d_small", "options": {}}, {"model": "nobody_knows", "options": {"depth": 9}}],
    }  # fmt: skip
    streams = [made(first(6), name=name, settings=settings).to_dict() for name in ("a", "b")]
    fused = made(first(7), name="mean of softmax", settings=settings).to_dict()
    write_json(tmp_path / "result.json", {"streams": streams, "fused": [fused], "differences": []})
    a, b, both = read_run(tmp_path, "x").systems
    assert a.model == "c3d_small"
    assert a.parameters is not None
    assert a.parameters > 100_000
    assert (b.model, b.parameters) == ("nobody_knows", None)
    assert (both.model, both.parameters) == ("c3d_small + nobody_knows", None), "a sum with an unknown part is unknown"


def test_a_mean_over_splits_has_the_outcomes_of_its_splits(tmp_path: Path) -> None:
    splits = {"1": 0.75, "2": 0.5}
    mean = made(first(9), name="network, mean of splits 1, 2", settings={"splits": splits}).to_dict()
    write_json(tmp_path / "result.json", {"means": [{**mean, "value": 0.625, "predictions": []}]})
    for number, count in ((1, 9), (2, 6)):
        found = {"svm": None, "net": made(first(count)).to_dict()}
        write_json(tmp_path / f"split{number}" / "seed0" / "result.json", found)
    (system,) = read_run(tmp_path, "x").systems
    assert (system.result.value, len(system.splits)) == (0.625, 2)
    assert system.outcomes is not None
    assert len(system.outcomes.keys) == 24
    (tmp_path / "split2" / "seed0" / "result.json").unlink()
    (system,) = read_run(tmp_path, "x").systems
    assert system.outcomes is None, "a part of the splits is not the mean"


def test_descriptor_tables_name_their_networks(tmp_path: Path) -> None:
    settings = {"svm_c": 1.0, "tables": [{"name": "t", "layer": "fc6", "model": "c3d"}], "folds": ["split1"]}
    write_json(tmp_path / "result.json", made(first(9), settings=settings).to_dict())
    (system,) = read_run(tmp_path, "x").systems
    assert (system.model, system.parameters) == ("c3d", None)


def test_two_rows_of_a_run_never_have_one_name(tmp_path: Path) -> None:
    write_json(tmp_path / "result.json", {"a": made(first(3)).to_dict(), "b": made(first(4)).to_dict()})
    assert [name for name, *_ in rows(tmp_path)] == ["network", "network (2)"]


def test_an_unfinished_run_says_what_is_missing(tmp_path: Path) -> None:
    record = {"settings_hash": "x"}
    for fold, done in (("ann", True), ("bob", False)):
        write_json(tmp_path / "seed0" / fold / "env.json", record)
        write_text(tmp_path / "seed0" / fold / "config.toml", "[train]\niterations = 600\n")
        if done:
            write_json(tmp_path / "seed0" / fold / "scores.json", {})
    write_json(tmp_path / "env.json", record)
    steps = "step,epoch,learning_rate,loss,accuracy,val_accuracy,val_loss\n39,0,0.1,1.5,0.5,,\n40,0,0.1,1.4,0.5,,\n"
    write_text(tmp_path / "seed0" / "bob" / "metrics.csv", steps)
    with pytest.raises(UnfinishedRunError) as caught:
        read_run(tmp_path, "x")
    assert "1 of 2 begun rounds are done; open: seed0/bob at step 40 of 600" in str(caught.value)
    write_json(tmp_path / "seed0" / "bob" / "scores.json", {})
    with pytest.raises(UnfinishedRunError, match="all 2 rounds that were begun are done"):
        read_run(tmp_path, "x")
    alone = tmp_path / "alone"
    write_json(alone / "env.json", record)
    write_text(alone / "config.toml", "[train]\niterations = 5\n")
    with pytest.raises(UnfinishedRunError, match="open: not begun to train"):
        read_run(alone, "x")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "the file is not JSON"),
        ("[]", "holds no figures"),
        ('{"same": true, "reasons": []}', "holds no figures"),
        ('{"protocol": "p", "metric": "accuracy", "value": 1.0, "n": 1, "interval": {"from": 0}}', "otherwise"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, content: str, said: str) -> None:
    write_text(tmp_path / "result.json", content)
    write_json(tmp_path / "env.json", {"tool_version": "0.0.1"})
    with pytest.raises(InputDataError) as caught:
        read_run(tmp_path, "x")
    assert said in str(caught.value)
    if said == "otherwise":
        assert "tubelet 0.0.1 wrote it otherwise" in str(caught.value)


def test_older_results_without_later_fields_are_read(tmp_path: Path) -> None:
    old = made(first(9)).to_dict()
    for name in ("class_mean", "class_mean_interval", "unit", "notes", "published"):
        del old[name]
    write_json(tmp_path / "result.json", {"svm": None, "net": old})
    assert rows(tmp_path) == [("network", 0.75, 1, 1)]


def test_a_training_without_a_test_has_no_rows(tmp_path: Path) -> None:
    write_json(tmp_path / "result.json", {"note": "no video was held out, so there are no test figures"})
    assert rows(tmp_path) == []


def folder_of_runs(root: Path) -> dict[str, Any]:
    for name in ("a", "b"):
        write_json(root / name / "result.json", made(first(6)).to_dict())
    (root / "videos").mkdir()
    return {name: root / name for name in ("a", "b")}


def test_a_folder_of_runs_stands_for_them_and_each_is_read_once(tmp_path: Path) -> None:
    runs = folder_of_runs(tmp_path)
    assert run_folders([tmp_path]) == [runs["a"], runs["b"]]
    assert run_folders([runs["b"], tmp_path, runs["a"] / "result.json"]) == [runs["b"], runs["a"]]
    assert run_names([tmp_path / "x" / "run", tmp_path / "y" / "run", tmp_path / "z"]) == ["x/run", "y/run", "z"]
    with pytest.raises(InputDataError, match="there is no such run folder"):
        run_folders([tmp_path / "nowhere"])


def test_runs_that_cannot_be_read_are_told_and_the_others_read(tmp_path: Path) -> None:
    runs = folder_of_runs(tmp_path)
    told: list[InputDataError] = []
    found = read_runs([runs["a"], tmp_path / "videos"], told.append)
    assert [run.name for run in found] == ["a"]
    assert [type(error) for error in told] == [NoRunError]
    assert "it is empty" in str(told[0])
    with pytest.raises(NoRunError):
        read_runs([tmp_path / "videos"], told.append)
    (tmp_path / "more").mkdir()
    with pytest.raises(InputDataError, match="not one of 2 runs"):
        read_runs([tmp_path / "videos", tmp_path / "more"], told.append)


def test_every_command_that_ends_with_figures_is_read(trained_run: Any) -> None:
    found = json.loads((trained_run.folder / "result.json").read_text())
    svm, net = read_run(trained_run.folder, "run").systems
    assert (svm.result.value, net.result.value) == (found["svm"]["value"], found["net"]["value"])
    assert svm.model == net.model == "c3d_small"
    assert svm.networks[0].input == (3, 16, 56, 56)
    config = json.loads((trained_run.folder / "model" / "config.json").read_text())
    assert config["num_classes"] == len(net.result.classes)


def test_notes_at_the_top_go_to_the_rows_that_they_are_about(tmp_path: Path) -> None:
    stream = {**made(first(6), name="c3d").to_dict(), "parameters": 1, "macs": 1, "input": [3, 1, 8, 8]}
    svms = [
        {**made(first(count), name=name).to_dict(), "made_of": f"SVM on {of}, 1,024 numbers"}
        for name, of, count in (
            ("c3d fc6 + SVM", "fc6 of c3d", 7), ("image", "pool10 of image", 8),
            ("c3d + image", "fc6 of c3d + pool10 of image", 9),
        )
    ]  # fmt: skip
    svms[0]["notes"] = ["its own"]
    tops = ["its own", "image: which videos its network saw is not known", "3 of 15 videos have no scores"]
    write_json(tmp_path / "result.json", {"streams": [stream], "svms": svms, "fusions": [], "notes": tops})
    run = read_run(tmp_path, "x")
    assert {one.name: one.result.notes for one in run.systems} == {
        "c3d": (tops[2],), "c3d fc6 + SVM": (tops[0], tops[2]), "image": (tops[1], tops[2]),
        "c3d + image": (tops[1], tops[2]),
    }  # fmt: skip
    (table,) = results_tables([run])
    assert f"b: {tops[1]}." in table.markdown().splitlines()

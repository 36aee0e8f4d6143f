"""What the summary of a report says of its figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from protocols.made_results import LINE, first, made
from tubelet.protocols.result import Result
from tubelet.protocols.results_methods import methods
from tubelet.protocols.results_table import Sources, results_tables
from tubelet.protocols.results_words import comparison_text, comparisons, named_difference, summary
from tubelet.protocols.runs import Run
from tubelet.protocols.systems import Network, system_of


def told(*results: Result, planned: tuple[str, str] | None = None) -> str:
    systems = tuple(system_of("run", [(each,)], []) for each in results)
    runs = [Run(Path("run"), "run", systems, {}, {}, planned)]
    (table,) = results_tables(runs)
    return summary(table, comparisons(table, runs)).replace("\u00a0", " ")


def test_one_system_stands_alone_with_chance() -> None:
    text = told(made(first(9)))
    assert text.startswith(
        "On acts (12 videos of 3 classes), **network** gets 75.0 % of the videos right (95 % interval"
    )
    assert "guessing gives 33 %" in text
    assert "the most of" not in text
    assert "chosen as the best" not in text
    assert text.endswith("No figure in print is comparable.")


def test_differences_that_the_videos_show_and_those_that_they_do_not() -> None:
    # 60 videos: 54, 53 and 6 right, the right ones of the smaller among those of the larger.
    text = told(made(first(6, 60), name="low"), made(first(54, 60), name="high"), made(first(53, 60), name="near"))
    assert "**high** gets 90.0 % of the videos right" in text
    assert ", the most of 3 systems; guessing" in text
    assert "On the same videos it is better than low (+80.0 points), by paired 95 % intervals." in text
    assert "It is not told apart from near." in text
    assert "It was chosen" not in text, "of two others there is not much to choose"
    more = told(*(made(first(count, 60), name=str(count)) for count in (6, 20, 54, 30)))
    assert "It was chosen as the best after the figures were seen" in more


def test_ties_are_told() -> None:
    text = told(made(first(9), name="a"), made(first(9), name="b"), made(first(3), name="c"))
    assert ", as many as b and the most of 3 systems; guessing" in text
    assert "not told apart from b" not in text


def test_a_comparison_named_beforehand_is_told_whatever_it_shows() -> None:
    text = told(made(first(9), name="a"), made(first(8), name="b"), planned=("a", "b"))
    assert "Named beforehand: b is 8.3 points worse than a (95 % interval of the paired difference" in text
    assert "these videos do not show a difference." in text
    assert text.split("\n\n")[1].startswith("Named beforehand: "), "a paragraph of its own"


def test_figures_in_print_are_placed_in_or_beside_our_interval() -> None:
    result = replace(made(first(9, 120)), published=LINE)
    text = told(result)
    assert "Beside network, print has 82.3 % (C3D (1 net) + linear SVM [[1](#ref-1)])" in text
    assert "74.8 points below it here, with 1 known difference." in text  # 9 of 120 is 7.5 %
    assert "No figure in print" not in text
    assert "inside our interval" in told(replace(made(first(99, 120)), published=LINE))  # 82.5 %


def test_remarks_on_the_best_are_in_the_summary() -> None:
    assert "To be noted of network: the weights saw `x`".replace("`", "'") in told(
        made(first(9), notes=["the weights saw `x`"])
    )


def test_rows_of_one_name_are_told_apart_by_their_runs() -> None:
    one, other = system_of("one", [(made(first(9)),)], []), system_of("two", [(made(first(6)),)], [])
    runs = [Run(Path(each.run), each.run, (each,), {}, {}) for each in (one, other)]
    (table,) = results_tables(runs)
    found = comparisons(table, runs)
    ((system, pair),) = found.against
    named = named_difference(table, system, found.best, pair)
    assert (named.first, named.second) == ("network (two)", "network (one)")
    assert named.accuracy == 0.25
    assert "**network (one)** gets" in summary(table, found)


def test_what_cannot_be_compared_is_named() -> None:
    systems = [system_of("run", [(made(first(9), name="a"),)], []),
               system_of("run", [(replace(made(first(6), name="b"), predictions=()),)], [])]  # fmt: skip
    runs = [Run(Path("run"), "run", tuple(systems), {}, {})]
    (table,) = results_tables(runs)
    assert "Not compared, because their videos differ or were not kept one by one: b." in comparison_text(
        table, comparisons(table, runs)
    )


def test_methods_are_those_of_the_settings() -> None:
    settings = {
        "protocol": "leave one group out, 6 folds", "model": "c3d_small", "options": {"depth": 3}, "weights": None,
        "recipe": {"name": "c3d_small"}, "stride_frames": 8, "svm_c": 2.0,
        "train": {"iterations": 600, "batch_size": 24, "optimizer": "adamw", "learning_rate": 0.003},
    }  # fmt: skip
    result = made(first(9), name="linear SVM on fc6", settings=settings)
    record = {**result.provenance, "dataset": {"name": "acts", "group_rule": "actors, from the names", "groups": 6}}
    networks = [Network("c3d_small", {}, 1, 1, (3, 16, 56, 56))]
    system = system_of("run", [(replace(result, provenance=record),)], networks)
    sources = Sources()
    text = methods(Run(Path("run"), "run", (system,), {}, {}), sources)
    assert text == (
        "**linear SVM on fc6.** Network c3d_small [[1](#ref-1)] (depth 3) on 3×16×56×56 inputs, preprocessed as "
        "c3d_small; trained from scratch for 600 steps of 24 clips with adamw, learning rate 0.003; described by fc6 "
        "every 8 frames, clips averaged, length one, then a linear SVM with C = 2.\n\n"
        "Training and test: leave one group out, 6 folds; groups are actors, from the names."
    )
    assert sources.works[0].startswith("Du Tran")
    tuned = made(first(9), settings={**settings, "weights": "models/x"})
    text = methods(Run(Path("run"), "run", (system_of("run", [(tuned,)], []),), {}, {}))
    assert "Fine-tuned from models/x for 600 steps" in text
    table = made(first(9), settings={"tables": [{"name": "t", "layer": "fc6", "model": "c3d"}], "svm_c": 1, "pca": 10,
                                     "bits": "int8", "folds": ["split1"]})  # fmt: skip
    text = methods(Run(Path("run"), "run", (system_of("run", [(table,)], []),), {}, {}))
    assert text == (
        "**network.** A linear SVM (C = 1, 10 principal components, eight bits a number) on fc6 of c3d, each scaled to "
        "length one.\n\n"
        "Training and test: 1 fold."
    )


def test_methods_of_svms_beside_streams_say_what_they_read_and_who_trained_it() -> None:
    plan = {
        "streams": [{"name": "rgb", "model": "c3d_small", "svm": "fc6", "train": {"iterations": 9}},
                    {"name": "flow", "model": "tsn_resnet50", "svm": None}],
        "features": [{"name": "image", "model": "squeezenet", "weights": "required", "layer": "pool10"}],
        "combinations": [{"name": "both", "of": ["rgb", "image"]}],
    }  # fmt: skip
    command = ["tubelet", "evaluate", "streams", "x.toml", "--weights", "/models/imagenet"]
    networks = [Network("c3d_small", {}, 1, 1, (3, 16, 56, 56)), Network("squeezenet", {}, 1, 1, (3, 1, 227, 227))]

    def words(name: str, layers: list[str], numbers: int, used: list[Network]) -> str:
        settings = {"folds": "groups", "svm": {"svm_c": 1.0, "pca": None}, "layers": layers, "numbers": numbers}
        result = made(first(9), name=name, settings=settings)
        result = replace(result, provenance={**result.provenance, "experiment": plan, "command": command})
        told = methods(Run(Path("run"), "run", (system_of("run", [(result,)], used),), {}, {}))
        return told.partition("\n")[0]

    fitted = "a linear SVM (C = 1) fitted on each fold's training videos"
    assert words("both", ["fc6", "pool10"], 1024, networks) == (
        "**both.** Fc6 of c3d_small and pool10 of squeezenet, clips averaged, length one, side by side, 1,024 numbers; "
        f"{fitted}; rgb trained as in its own row; image frozen, weights: imagenet."
    )
    assert words("rgb fc6 + SVM", ["fc6"], 512, networks[:1]) == (
        f"**rgb fc6 + SVM.** Fc6 of c3d_small, clips averaged, length one, 512 numbers; {fitted}; "
        "rgb trained as in its own row."
    )
    assert words("image", ["pool10"], 512, networks[1:]).endswith(f"; {fitted}; image frozen, weights: imagenet.")


def test_methods_of_trajectories_name_words_and_what_learned_them() -> None:
    plan = {
        "streams": [{"name": "rgb", "model": "c3d_small", "svm": "fc6", "train": {"iterations": 9}}],
        "trajectories": [{"name": "idt bow", "encoding": "bow"}, {"name": "few", "encoding": "fisher64"}],
        "combinations": [{"name": "both", "of": ["rgb", "idt bow"]}],
    }

    def words(name: str, layers: list[str], numbers: int, used: list[Network]) -> str:
        settings = {"folds": "groups", "svm": {"svm_c": 1.0, "pca": None}, "layers": layers, "numbers": numbers}
        result = made(first(9), name=name, settings=settings)
        result = replace(result, provenance={**result.provenance, "experiment": plan, "command": []})
        return methods(Run(Path("run"), "run", (system_of("run", [(result,)], used),), {}, {})).partition("\n")[0]

    fitted = "a linear SVM (C = 1) fitted on each fold's training videos"
    assert words("both", ["fc6", "bow"], 25960, [Network("c3d_small"), Network("idt")]) == (
        "**both.** Fc6 of c3d_small and 5,000 words a channel of improved dense trajectories, clips averaged, length "
        f"one, side by side, 25,960 numbers; {fitted}; rgb trained as in its own row; "
        "idt bow learned from each fold's training videos."
    )
    assert words("few", ["fisher64"], 27264, [Network("idt")]) == (
        "**few.** 64 Gaussians a channel of improved dense trajectories, length one, 27,264 numbers; "
        f"{fitted}; few learned from each fold's training videos."
    )
    facts = {"name": "t", "model": "idt", "layer": "bow9", "encoding": {"kind": "bow", "words": 9, "sample": 1000}}
    table = made(first(9), settings={"tables": [facts], "svm_c": 1.0, "folds": ["split1"]})
    told = methods(Run(Path("run"), "run", (system_of("run", [(table,)], []),), {}, {}))
    assert "on dense trajectories (9 words of each channel, learned from at most 1,000 trajectories of a fold's" in told


LEAK = "the weights were trained on 2 of the 4 test groups"


def test_leaked_rows_are_not_ranked() -> None:
    text = told(
        made(first(60, 60), name="seen", notes=[LEAK]), made(first(54, 60), name="good"), made(first(6, 60), name="low")
    )
    assert "**good** gets 90.0 % of the videos right" in text
    assert ", the most of 2 systems; guessing" in text
    assert "Leaked rows are not ranked: seen †." in text
    assert "better than low (+80.0 points)" in text
    assert "than seen" not in text
    alone = told(made(first(9), name="seen", notes=[LEAK]))
    assert "**seen †** gets 75.0 %" in alone
    assert "It is leaked: test videos were seen in training" in alone


def test_rows_with_other_numbers_of_videos_are_told() -> None:
    text = told(made(first(9), name="few"), made(first(6, 36), name="many"))
    assert "The systems were not tested on equally many videos (12 to 36)" in text
    assert "equally many" not in told(made(first(9), name="a"), made(first(6), name="b"))


def test_the_best_may_be_worse_on_the_videos_that_both_have() -> None:
    # As where a row has further videos, all wrong: its figure is low, on the common videos it is not.
    fewer = replace(made(first(99, 100), name="all"), value=0.5)
    text = told(fewer, replace(made(first(60, 100), name="best"), value=0.9))
    assert "On the videos that both have it is worse than all (-39.0 points)." in text
    assert "better than all" not in text

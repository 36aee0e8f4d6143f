"""ASLAN in its official formats, as the data set's ReadMe gives them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from tubelet.datasets import open_dataset
from tubelet.datasets.aslan import action_names, find_annotations, open_aslan, sample_id
from tubelet.datasets.aslan_pairs import PairView, read_view
from tubelet.datasets.catalog import detect_kind
from tubelet.datasets.check import check_dataset
from tubelet.errors import ExitCode, InputDataError
from tubelet.video.report import DecodeReport

# Three splits of four pairs: id, id, label, action, action.
SPLITS = np.array(
    [
        [[1, 2, 1, 1, 1], [3, 4, 1, 2, 2], [1, 3, 0, 1, 2], [2, 4, 0, 1, 2]],
        [[5, 6, 1, 3, 3], [7, 8, 1, 4, 4], [5, 7, 0, 3, 4], [6, 8, 0, 3, 4]],
        [[9, 10, 1, 5, 5], [11, 3697, 1, 6, 6], [9, 11, 0, 5, 6], [10, 3697, 0, 5, 6]],
    ]
)
SAMPLES = [*range(1, 12), 3697]


class Sound:
    """A decoder to which every video is whole."""

    def measure(self, path: Path, fps: float | None = None) -> DecodeReport:
        return DecodeReport("ok", 40, 40, 25.0, "container", 1.6, 320, 240, "h264", "avi")


def as_mat(folder: Path, splits: np.ndarray = SPLITS, name: str = "action_splits_pairs") -> Path:
    savemat(folder / "View2.mat", {name: splits.transpose(1, 2, 0).astype(float)})
    return folder


def table(rows: np.ndarray, separator: str = " ") -> str:
    return "".join(separator.join(map(str, row)) + "\n" for row in rows.tolist())


def assert_same_pairs(view: PairView) -> None:
    assert (view.number, len(view), view.sizes) == (2, 12, (4, 4, 4))
    assert view.samples.tolist() == SPLITS[:, :, :2].reshape(-1, 2).tolist()
    assert view.same.tolist() == [True, True, False, False] * 3
    assert view.actions[-1].tolist() == [5, 6]
    assert view.fold.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert view.folds == ("split 1", "split 2", "split 3")
    assert view.tested == (0, 1, 2)
    assert view.sample_ids == tuple(SAMPLES)
    assert not view.is_official
    assert view.require_disjoint() is view


def test_view_2_as_mat(tmp_path: Path) -> None:
    assert_same_pairs(read_view(as_mat(tmp_path)))


def test_view_2_under_another_name_and_in_the_folder_of_the_download(tmp_path: Path) -> None:
    (tmp_path / "Views").mkdir()
    as_mat(tmp_path / "Views", name="splits")
    assert_same_pairs(read_view(tmp_path))


@pytest.mark.parametrize("separator", [" ", ",", "\t", "; "])
def test_view_2_as_text_side_by_side(tmp_path: Path, separator: str) -> None:
    rows = np.concatenate(list(SPLITS), axis=1)
    assert rows.shape == (4, 15)
    (tmp_path / "View2.txt").write_text("# split 1 | 2 | 3\n\n" + table(rows, separator))
    assert_same_pairs(read_view(tmp_path))


def test_view_2_as_text_with_the_split_first(tmp_path: Path) -> None:
    rows = np.concatenate([np.insert(part, 0, index + 1, axis=1) for index, part in enumerate(SPLITS)])
    (tmp_path / "View2.csv").write_text(table(rows, ","))
    assert_same_pairs(read_view(tmp_path))


def test_the_official_size_is_known(tmp_path: Path) -> None:
    splits = np.zeros((10, 600, 5), dtype=int)
    for fold in range(10):
        action = 2 * fold + 1
        splits[fold, :300] = [10 * fold + 1, 10 * fold + 2, 1, action, action]
        splits[fold, 300:] = [10 * fold + 1, 10 * fold + 3, 0, action, action + 1]
    view = read_view(as_mat(tmp_path, splits))
    assert view.is_official
    assert len(view) == 6000
    assert not view.select(np.arange(6000) > 0).is_official
    splits[0, 299] = splits[0, 300]
    assert not read_view(as_mat(tmp_path, splits)).is_official, "300 of each kind"


@pytest.mark.parametrize("suffix", [".mat", ".txt"])
def test_view_1_has_one_fold_to_test_on(tmp_path: Path, suffix: str) -> None:
    for name, rows in (("train_pairs", np.concatenate(list(SPLITS[:2]))), ("test_pairs", SPLITS[2])):
        if suffix == ".mat":
            savemat(tmp_path / f"{name}.mat", {"whatever": rows.astype(float)})
        else:
            (tmp_path / f"{name}.txt").write_text(table(rows))
    view = read_view(tmp_path, 1).require_disjoint()
    assert (view.number, view.folds, view.tested, view.sizes) == (1, ("train", "test"), (1,), (8, 4))
    assert view.samples[8:].tolist() == SPLITS[2, :, :2].tolist()


def test_a_shared_action_is_found(tmp_path: Path) -> None:
    splits = SPLITS.copy()
    splits[2, [0, 0], [3, 4]] = 2  # samples 9 and 10 now show what split 1 shows
    with pytest.raises(InputDataError, match=r"split 1 and split 3 are not disjoint: both hold action 2: .*View2.mat"):
        read_view(as_mat(tmp_path, splits)).require_disjoint()


def test_a_shared_sample_is_found_where_actions_are_not_known(tmp_path: Path) -> None:
    splits = SPLITS.copy()
    splits[:, :, 3:] = 0
    view = read_view(as_mat(tmp_path, splits)).require_disjoint()
    assert view.action_of() == {}
    splits[1, 0, 0] = 4
    with pytest.raises(InputDataError, match="split 1 and split 2 are not disjoint: both hold sample 4"):
        read_view(as_mat(tmp_path, splits)).require_disjoint()


def test_labels_against_the_actions_are_counted_or_refused(tmp_path: Path) -> None:
    splits = np.tile(SPLITS, (1, 25, 1))
    splits[0, 0, 2] = 0
    assert read_view(as_mat(tmp_path, splits)).contradictions == 1
    splits[:, :, 2] = 1 - splits[:, :, 2]
    with pytest.raises(InputDataError, match="not what their actions say"):
        read_view(as_mat(tmp_path, splits))


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ((1, 2, 2), 2, r"pair 3 of split 2 has a label that is neither 0 nor 1: 5 7 2 3 4"),
        ((0, 0, 0), 0, r"pair 1 of split 1 has a sample below 1"),
        ((2, 3, 1), 1.5, r"pair 4 of split 3 has a number that is not whole"),
        ((2, 3, 1), np.nan, r"pair 4 of split 3 has a number that is not whole"),
        ((0, 1, 4), -1, r"pair 2 of split 1 has an action below 0"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, place: tuple[int, ...], value: float, says: str) -> None:
    splits = SPLITS.astype(float)
    splits[place] = value
    with pytest.raises(InputDataError, match=says) as caught:
        read_view(as_mat(tmp_path, splits))
    assert "View2.mat" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no pair"),
        ("1 2 1 1 1\n", "5 numbers"),
        ("1 1 2 1 1 1\n1 1 3 0 1\n", "line 2 has 5 numbers, the first has 6"),
        ("1 1 2 1 1 1\n2 x 3 0 1 2\n", "line 2 is not numbers only"),
        ("1 1 2 1 1 1\n3 5 6 0 3 4\n", "first of six columns is not the split"),
        ("1 1 2 1 1 1\n1 5 6 0 3 4\n", "first of six columns is not the split"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "View2.txt").write_text(text)
    with pytest.raises(InputDataError, match=says):
        read_view(tmp_path)


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0 MAT-file" + bytes(200), b"x" * 500])
def test_a_damaged_mat_is_an_error_of_ours(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "View2.mat").write_bytes(content)
    with pytest.raises(InputDataError, match="pairs of ASLAN cannot be read"):
        read_view(tmp_path)


def test_a_mat_of_something_else_says_what_it_holds(tmp_path: Path) -> None:
    savemat(tmp_path / "View2.mat", {"STIP_HOG_pairs_mat": np.zeros((3, 4))})
    with pytest.raises(InputDataError, match="it holds STIP_HOG_pairs_mat"):
        read_view(tmp_path)
    savemat(tmp_path / "View2.mat", {"action_splits_pairs": np.zeros((3, 4, 2))})
    with pytest.raises(InputDataError, match="3 x 4 x 2"):
        read_view(tmp_path)
    savemat(tmp_path / "train_pairs.mat", {"a": np.zeros((3, 4))})
    savemat(tmp_path / "test_pairs.mat", {"a": np.zeros((3, 5))})
    with pytest.raises(InputDataError, match="rows have 4 numbers"):
        read_view(tmp_path, 1)


def test_an_absent_view_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"no View2.mat, View2.txt"):
        read_view(tmp_path)
    (tmp_path / "train_pairs.txt").write_text(table(SPLITS[0]))
    with pytest.raises(InputDataError, match=r"no test_pairs.mat"):
        read_view(tmp_path, 1)


def test_names_are_ids() -> None:
    names = ("ASLAN_AVI/0001.avi", "3697.mp4", "0042", "12.avi", "00012.avi", "a0001.avi")
    assert [sample_id(name) for name in names] == [1, 3697, 42, None, None, None]


def test_the_samples_are_a_manifest(tree, tmp_path: Path) -> None:
    root = tree(*(f"ASLAN_AVI/{sample:04d}.avi" for sample in SAMPLES if sample != 7), "ASLAN_AVI/0500.avi", "notes.md")
    (root / "Views").mkdir()
    as_mat(root / "Views")
    assert find_annotations(root / "ASLAN_AVI") == root.resolve()
    bare = open_aslan(root / "ASLAN_AVI")
    assert bare.classes == tuple(f"action {index}" for index in range(1, 7))
    assert (bare.name, len(bare)) == ("aslan", 11)
    assert bare.findings.missing == ("0007",)
    assert bare.findings.unlisted == ("0500.avi",)
    (root / "Info").mkdir()
    (root / "Info" / "Actions_Ids.txt").write_text("1\tair guitar\n2 bow\n3 bow\n6 yoga tree\n")
    named = open_dataset("aslan", root, annotations=root / "Views")
    assert named.classes == ("air guitar (1)", "bow (2)", "bow (3)", "action 4 (4)", "action 5 (5)", "yoga tree (6)")
    assert named.items[-1].path == "ASLAN_AVI/3697.avi"
    assert named.items[-1].label == "yoga tree (6)"


def test_the_checker_looks_at_the_pairs(tree) -> None:
    root = tree(*(f"{sample:04d}.avi" for sample in SAMPLES))
    (root / "Views").mkdir()
    splits = np.tile(SPLITS, (1, 25, 1))
    as_mat(root / "Views", splits)
    sound = check_dataset(open_dataset("auto", root), Sound())
    assert (sound.problems, sound.exit_code) == ((), ExitCode.DONE)
    assert sound.manifest.findings.notes == ("View 2: 300 pairs in 3 folds, not the official numbers",)
    splits[1, 2, 2] = 1  # 5 and 7, of actions 3 and 4
    as_mat(root / "Views", splits)
    against = check_dataset(open_aslan(root), Sound())
    assert against.manifest.findings.mislabeled == (
        "View 2, pair 3 of split 2: 0005 and 0007 are same, their actions differ",
    )
    assert (len(against.problems), against.exit_code) == (1, ExitCode.SOME_FAILED)
    splits[1, 2] = SPLITS[1, 2]
    splits[2, 4] = [9, 9, 1, 6, 6]  # 9 is of action 5 elsewhere
    splits[1, 5, :2] = 7, 2  # 2 is in split 1
    splits[1, 5, 3:] = 4
    as_mat(root / "Views", splits)
    leaking = check_dataset(open_aslan(root), Sound())
    assert leaking.manifest.findings.mislabeled == (
        "0002: the pairs say actions 1 and 4",
        "0009: the pairs say actions 5 and 6",
    )
    assert leaking.to_dict()["shared"] == ["View 2: split 1 and split 2 are not disjoint: both hold sample 2"]
    assert leaking.problems[0] == "1 overlap of folds: what is tested was trained on"
    assert leaking.exit_code == ExitCode.BAD_DATA


def test_the_official_numbers_are_told_as_such(tree) -> None:
    root = tree("0001.avi")
    splits = np.zeros((10, 600, 5), dtype=int)
    for fold in range(10):
        action = 2 * fold + 1
        splits[fold, :300] = [10 * fold + 1, 10 * fold + 2, 1, action, action]
        splits[fold, 300:] = [10 * fold + 1, 10 * fold + 3, 0, action, action + 1]
    assert open_aslan(as_mat(root, splits)).findings.notes[0] == "View 2: 6,000 pairs in 10 folds"


def test_four_digits_are_aslan_only_with_its_views(tree) -> None:
    root = tree("ASLAN_AVI/0001.avi", "ASLAN_AVI/0002/")
    assert detect_kind(root) == detect_kind(root / "ASLAN_AVI") == "folder"
    (root / "Views").mkdir()
    as_mat(root / "Views")
    assert detect_kind(root) == detect_kind(root / "ASLAN_AVI") == "aslan"
    (root / "ASLAN_AVI" / "clip.avi").touch()
    assert detect_kind(root) == "folder"


def test_no_sample_and_no_view(tree, tmp_path: Path) -> None:
    root = tree("a.avi")
    with pytest.raises(InputDataError, match="View 2 of ASLAN is not found"):
        open_aslan(root)
    as_mat(root)
    with pytest.raises(InputDataError, match="none of the videos"):
        open_aslan(root)


@pytest.mark.parametrize("text", ["1 a\n1 b\n", "one two\n", "7\n"])
def test_a_damaged_list_of_actions_is_named_with_its_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "Actions_Ids.txt").write_text(text)
    with pytest.raises(InputDataError, match=r"Actions_Ids.txt \(line \d"):
        action_names(tmp_path)

"""The pairs of ASLAN (Kliper-Gross, Hassner and Wolf, TPAMI 34(3), 2012): View 1 to develop, View 2 to report.

The format is that of the data set's ReadMe.txt (section Benchmark). A pair is a row of five numbers: the ids of two
samples, the label (1 same, 0 not-same), and the actions of both samples. ``train_pairs.mat`` (1,200 rows) and
``test_pairs.mat`` (600) are View 1; ``View2.mat`` holds ``action_splits_pairs``, 600 x 5 x 10: ten splits, View 2.

The ReadMe knows .mat files only. As text the same numbers are read from ``train_pairs.txt`` and ``test_pairs.txt``
(five per line) and from ``View2.txt``: the splits side by side, five columns each, as MATLAB's ``dlmwrite`` lays a
3-D array out, or six numbers per line, the split before the five. An action of 0 means that it is not known.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tubelet.datasets.discovery import require_folder
from tubelet.errors import InputDataError
from tubelet.reporting.text import first_few

SPLITS_NAME = "action_splits_pairs"
OFFICIAL = {1: (1200, 600), 2: (600,) * 10}
"""Pairs in each fold of the official views."""

_COLUMNS = 5
_PLACES = (".", "Views", "View1", "View2")
_SUFFIXES = (".mat", ".txt", ".csv")
# More than this share of labels against the actions means that the file was misread, not that a row is wrong.
_MOST_CONTRADICTIONS = 0.01

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PairView:
    """The pairs of one view, in the files' order.

    Attributes
    ----------
    number
        1 or 2.
    path
        The file (View 2) or folder (View 1) that they come from.
    samples
        (n, 2) int64 ids of the two samples, from 1.
    same
        (n,) bool: whether both show the same action.
    actions
        (n, 2) int64 ids of their actions, from 1; 0 where not known.
    fold
        (n,) int64 index into ``folds``.
    folds
        Names of the folds.
    tested
        Which folds are tested on, each with all others for training: all of View 2, the second of View 1.
    """

    number: int
    path: Path
    samples: Integers
    same: NDArray[np.bool_]
    actions: Integers
    fold: Integers
    folds: tuple[str, ...]
    tested: tuple[int, ...]

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.same)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of pairs in each fold."""
        return tuple(np.bincount(self.fold, minlength=len(self.folds)).tolist())

    @property
    def fold_names(self) -> list[str]:
        """Of every pair, what its fold is called."""
        return [self.folds[fold] for fold in self.fold.tolist()]

    @property
    def is_official(self) -> bool:
        """Whether folds and pairs are as many as published, half of each fold's same."""
        halves = all(2 * int(self.same[self.fold == index].sum()) == size for index, size in enumerate(self.sizes))
        return self.sizes == OFFICIAL[self.number] and halves

    @property
    def sample_ids(self) -> tuple[int, ...]:
        """The distinct samples, sorted."""
        return tuple(np.unique(self.samples).tolist())

    @property
    def contradicting(self) -> Integers:
        """Indices of the pairs whose label is not what their actions say."""
        known = (self.actions > 0).all(axis=1)
        return np.flatnonzero(known & ((self.actions[:, 0] == self.actions[:, 1]) != self.same))

    @property
    def contradictions(self) -> int:
        """Pairs whose label is not what their actions say."""
        return len(self.contradicting)

    def place(self, index: int) -> str:
        """Where a pair stands: ``pair 3 of split 2``, counted from 1 as in the file."""
        fold = self.fold[index]
        return f"pair {int((self.fold[: index + 1] == fold).sum())} of {self.folds[fold]}"

    def actions_of(self) -> dict[int, tuple[int, ...]]:
        """The distinct actions that the rows give each sample, in the rows' order; a whole view gives one each."""
        found: dict[int, dict[int, None]] = {}
        for samples, actions in zip(self.samples.tolist(), self.actions.tolist(), strict=True):
            for sample, action in zip(samples, actions, strict=True):
                if action:
                    found.setdefault(sample, {})[action] = None
        return {sample: tuple(actions) for sample, actions in found.items()}

    def action_of(self) -> dict[int, int]:
        """The action of every sample whose action is known, as the first row that has it says."""
        return {sample: actions[0] for sample, actions in self.actions_of().items()}

    def select(self, keep: NDArray[np.bool_]) -> PairView:
        """The view with only these pairs; ``keep`` is (n,) bool."""
        return replace(
            self,
            samples=self.samples[keep],
            same=self.same[keep],
            actions=self.actions[keep],
            fold=self.fold[keep],
        )

    def overlaps(self) -> tuple[str, ...]:
        """What is in two folds, actions first, one sentence for each two folds; empty where nothing is.

        Folds are compared two by two: over View 2 every fold is tested on in turn. Where an action is not known, only
        the samples can be compared.
        """
        found: list[str] = []
        for what, values in (("action", self.actions), ("sample", self.samples)):
            members = [set(values[self.fold == index].ravel().tolist()) - {0} for index in range(len(self.folds))]
            found += [
                f"{self.folds[first]} and {self.folds[second]} are not disjoint: both hold {what} "
                f"{first_few([str(one) for one in shared])}"
                for first, second in combinations(range(len(members)), 2)
                if (shared := sorted(members[first] & members[second]))
            ]
        return tuple(found)

    def require_disjoint(self) -> PairView:
        """Return self after proving that no action, and no sample, is tested on that was trained on (`overlaps`).

        Raises
        ------
        InputDataError
            Two folds share actions or samples; they and the folds are named.
        """
        if found := self.overlaps():
            raise InputDataError(
                found[0],
                path=self.path,
                why="ASLAN asks about actions that were never seen, so the figures would say nothing",
                remedy="use the official view, or make folds of different actions",
            )
        return self


def find_view(annotations: str | os.PathLike[str], number: int) -> tuple[Path, ...]:
    """The files of a view below a folder: ``(View2,)``, or ``(train_pairs, test_pairs)`` for View 1.

    Raises
    ------
    InputDataError
        One is missing; the message says what was looked for.
    """
    folder = require_folder(annotations)
    names = ("train_pairs", "test_pairs") if number == 1 else ("View2",)
    found = []
    for name in names:
        places = [folder / place / f"{name}{suffix}" for place in _PLACES for suffix in _SUFFIXES]
        path = next((path for path in places if path.is_file()), None)
        if path is None:
            raise InputDataError(
                f"View {number} of ASLAN is not found",
                path=folder,
                why=f"no {name}.mat, {name}.txt or {name}.csv there, nor in its folder Views",
                remedy="get it from the data set's download page, https://talhassner.github.io/home/projects/ASLAN/, "
                "and give its folder with --annotations",
            )
        found.append(path)
    return tuple(found)


def read_view(annotations: str | os.PathLike[str], number: int = 2) -> PairView:
    """Read View 1 or View 2.

    Parameters
    ----------
    annotations
        The folder that holds ``View2.mat``, or ``train_pairs.mat`` and ``test_pairs.mat``, or their text forms.
    number
        1 or 2.

    Raises
    ------
    InputDataError
        A file is missing, cannot be read, or a row does not fit; file, row and split are named.
    """
    paths = find_view(annotations, number)
    if number == 1:
        parts = [_flat_rows(path) for path in paths]
        folds: tuple[str, ...] = ("train", "test")
        source = paths[0].parent
    else:
        parts = _splits(paths[0])
        folds = tuple(f"split {index}" for index in range(1, len(parts) + 1))
        source = paths[0]
    rows = np.concatenate([_checked(part, paths[min(index, len(paths) - 1)], folds[index], number)
                           for index, part in enumerate(parts)])  # fmt: skip
    view = PairView(
        number,
        source,
        samples=rows[:, :2],
        same=rows[:, 2] == 1,
        actions=rows[:, 3:],
        fold=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        folds=folds,
        tested=(1,) if number == 1 else tuple(range(len(parts))),
    )
    if view.contradictions > _MOST_CONTRADICTIONS * len(view):
        raise InputDataError(
            "the labels of the pairs are not what their actions say",
            path=source,
            why=f"{view.contradictions} of {len(view)} pairs; 1 means the same action, 0 another",
            remedy="use the official file; its columns are id, id, label, action, action",
        )
    return view


def _flat_rows(path: Path) -> NDArray[np.float64]:
    """(n, 5) of a file of View 1."""
    rows = _text_rows(path) if path.suffix != ".mat" else _mat_array(path, None, 2)
    if rows.shape[1] != _COLUMNS:
        raise _damaged(path, f"its rows have {rows.shape[1]} numbers, a pair has {_COLUMNS}")
    return rows


def _splits(path: Path) -> list[NDArray[np.float64]]:
    """One (n, 5) array per split of View 2."""
    if path.suffix == ".mat":
        array = _mat_array(path, SPLITS_NAME, 3)
        if array.shape[1] != _COLUMNS:
            why = f"{SPLITS_NAME} is {' x '.join(map(str, array.shape))}, not pairs x {_COLUMNS} x splits"
            raise _damaged(path, why)
        return [array[:, :, index] for index in range(array.shape[2])]
    rows = _text_rows(path)
    width = rows.shape[1]
    if width == _COLUMNS + 1:
        numbers = rows[:, 0]
        count = int(numbers.max())
        if set(numbers.tolist()) != set(range(1, count + 1)) or count < 2:
            raise _damaged(path, "the first of six columns is not the split, numbered from 1")
        return [rows[numbers == index, 1:] for index in range(1, count + 1)]
    if width % _COLUMNS or width == _COLUMNS:
        raise _damaged(path, f"its lines have {width} numbers: neither 5 for each of several splits, nor 6")
    return [rows[:, start : start + _COLUMNS] for start in range(0, width, _COLUMNS)]


def _mat_array(path: Path, name: str | None, dimensions: int) -> NDArray[np.float64]:
    """The array of this name, else the only numeric one of so many dimensions."""
    from scipy.io import loadmat  # comes with scikit-learn

    try:
        content = loadmat(path, variable_names=None if name is None else [name])
        if name is not None and name not in content:
            content = loadmat(path)
    except NotImplementedError as error:
        why = "it is of MATLAB's format 7.3"
        raise _damaged(path, why, "save it again with -v7, or as text") from error
    except Exception as error:  # whatever a damaged file makes of SciPy's parser
        raise _damaged(path, str(error) or type(error).__name__) from error
    arrays = {
        key: value
        for key, value in content.items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "iufb" and value.ndim == dimensions
    }
    if name in arrays:
        return np.asarray(arrays[name], dtype=np.float64)
    if len(arrays) != 1:
        said = ", ".join(sorted(key for key in content if not key.startswith("__"))) or "nothing"
        raise _damaged(path, f"it holds {said}, not one array of {dimensions} dimensions")
    return np.asarray(next(iter(arrays.values())), dtype=np.float64)


def _text_rows(path: Path) -> NDArray[np.float64]:
    """(n, columns) numbers of a text file, separated by white space, commas or semicolons; lines with # are notes."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from error
    rows: list[list[float]] = []
    for line, content in enumerate(text.splitlines(), 1):
        words = content.partition("#")[0].replace(",", " ").replace(";", " ").split()
        if not words:
            continue
        try:
            rows.append([float(word) for word in words])
        except ValueError as error:
            raise _damaged(path, f"line {line} is not numbers only") from error
        if len(rows[-1]) != len(rows[0]):
            raise _damaged(path, f"line {line} has {len(words)} numbers, the first has {len(rows[0])}")
    if not rows:
        raise _damaged(path, "it holds no pair")
    return np.array(rows, dtype=np.float64)


def _checked(rows: NDArray[np.float64], path: Path, fold: str, number: int) -> Integers:
    """The rows of one fold as integers."""
    where = "" if number == 1 else f" of {fold}"
    if not len(rows):
        raise _damaged(path, f"{fold} holds no pair")
    wrong = {
        "a number that is not whole": (~np.isfinite(rows) | (rows != np.rint(rows))).any(axis=1),
        "a sample below 1": ~(rows[:, :2] >= 1).all(axis=1),
        "a label that is neither 0 nor 1": ~np.isin(rows[:, 2], (0, 1)),
        "an action below 0": ~(rows[:, 3:] >= 0).all(axis=1),
    }  # fmt: skip
    for what, bad in wrong.items():
        if bad.any():
            row = int(bad.argmax())
            raise _damaged(path, f"pair {row + 1}{where} has {what}: {' '.join(f'{value:g}' for value in rows[row])}")
    return rows.astype(np.int64)


def _damaged(path: Path, why: str, remedy: str = "download it again") -> InputDataError:
    return InputDataError("the pairs of ASLAN cannot be read", path=path, why=why, remedy=remedy)

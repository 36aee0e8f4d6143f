"""Groups from names, columns and copies; groups named on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.datasets.groups import assign_groups, join_copies, parse_groups, ucf_group
from tubelet.datasets.manifest import Item, Manifest
from tubelet.errors import UsageError


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("A/v_A_g08_c01.avi", "g08"),
        ("v_HandStandPushups_G25_C03", "g25"),
        ("v_my_own_class_g1_c100.mp4", "g1"),
        ("v_A_g08.avi", None),
        ("A_g08_c01.avi", None),
        ("walk/a.avi", None),
    ],
)
def test_groups_of_names(path: str, group: str | None) -> None:
    assert ucf_group(path) == group


def test_a_column_wins_over_names() -> None:
    named = [Item("v_A_g01_c01.avi", group="mon"), Item("v_A_g02_c01.avi", group="tue")]
    assert [item.group for item in assign_groups(named, column=True)[0]] == ["mon", "tue"]
    assert assign_groups(named, column=True)[1] == "column 'group' of the table"
    assert [item.group for item in assign_groups(named)[0]] == ["g01", "g02"]


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("g21-g25,g03", ("g21", "g22", "g23", "g24", "g25", "g03")),
        ("g08-g11", ("g08", "g09", "g10", "g11")),
        ("g8-g11", ("g8", "g9", "g10", "g11")),
        ("g21-23", ("g21", "g22", "g23")),
        (" lena , ira ", ("lena", "ira")),
        ("g01,g01-g02,", ("g01", "g02")),
        ("3-5", ("3", "4", "5")),
        ("a1b2-a1b3", ("a1b2", "a1b3")),
        ("person-1", ("person-1",)),
        ("g5-g5", ("g5",)),
    ],
)
def test_lists_and_ranges(text: str, groups: tuple[str, ...]) -> None:
    assert parse_groups(text) == groups


def test_a_group_that_looks_like_a_range_is_taken_as_it_is_where_it_exists() -> None:
    assert parse_groups("2020-05", known={"2020-05", "x"}) == ("2020-05",)


@pytest.mark.parametrize(
    ("text", "known", "says"),
    [
        ("", None, "no group is named"),
        (" , ,", None, "no group is named"),
        ("g25-g21", None, "backwards; write g21-g25"),
        ("g21-h25", None, "between different names"),
        ("g0-g99999999", None, "more than 10,000"),
        ("g01-g03", {"g01", "g02"}, "no group g03; the groups are g01, g02"),
    ],
)
def test_lists_that_cannot_be_meant(text: str, known: set[str] | None, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_groups(text, known)


@settings(max_examples=60)
@given(st.integers(0, 300), st.integers(0, 200), st.integers(1, 4), st.sampled_from(["g", "", "actor_"]))
def test_a_range_is_what_counting_gives(first: int, more: int, width: int, prefix: str) -> None:
    names = [f"{prefix}{number:0{width}d}" for number in range(first, first + more + 1)]
    assert parse_groups(f"{names[0]}-{names[-1]}") == tuple(names)


def test_copies_share_a_group_afterwards() -> None:
    items = (
        Item("a.avi", "x", group="p1"),
        Item("b.avi", "x", group="p2"),
        Item("c.avi", "y", group="p3"),
        Item("d.avi", "y"),
        Item("e.avi", "y"),
        Item("f.avi", "y", group="p2"),
    )
    manifest = Manifest("m", Path("x"), items, ("x", "y"), group_rule="by hand")
    joined = join_copies(manifest, {"a.avi": "1", "b.avi": "1", "d.avi": "2", "f.avi": "2", "c.avi": "3"})
    # a = b joins p1 and p2; d = f joins d.avi with p2, so all three, under the first name.
    assert [item.own_group for item in joined.items] == ["d.avi", "d.avi", "p3", "d.avi", "e.avi", "d.avi"]
    assert joined.group_rule == "by hand; 3 groups with copies of the same video joined to 1"
    assert join_copies(manifest, {"a.avi": "1", "b.avi": "2"}) is manifest

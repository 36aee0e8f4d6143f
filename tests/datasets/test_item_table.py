"""Tables of videos: written by hand, by a spreadsheet, or by this package."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.datasets.item_table import Item, canonical_split, read_items, write_items
from tubelet.errors import InputDataError


def table(folder: Path, text: str | bytes) -> Path:
    path = folder / "metadata.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


FULL = "file_name,label,split,group,start_s,end_s,weather\na.avi,walk,train,p1,0.5,2,sunny\n"


def test_every_column_is_read(tmp_path: Path) -> None:
    read = read_items(table(tmp_path, FULL))
    assert read.items == (Item("a.avi", "walk", "train", "p1", 0.5, 2.0, {"weather": "sunny"}),)
    assert read.lines == (2,)
    assert read.columns == ("path", "label", "split", "group", "start_s", "end_s", "weather")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", " , "),
        lambda text: text.replace("a.avi", '"a.avi"').replace(",walk", ', "walk"'),
        lambda text: text.replace("file_name", "path"),
        lambda text: text.replace("file_name,label", "File_Name,LABEL"),
        lambda text: "\n\n" + text + "\n\n",
        lambda text: text.replace("train", "Training"),
        lambda text: text.replace("weather\n", "weather,,\n").replace("sunny\n", "sunny,,\n"),
        lambda text: text.rstrip("\n"),
    ],
    ids=[
        "bom",
        "crlf",
        "cr",
        "semicolon",
        "tab",
        "blanks",
        "quotes",
        "path",
        "case",
        "blank-lines",
        "split-name",
        "trailing-commas",
        "no-newline",
    ],
)
def test_what_spreadsheets_and_people_do_to_a_table_changes_nothing(tmp_path: Path, change) -> None:
    assert read_items(table(tmp_path, change(FULL))).items == read_items(table(tmp_path, FULL)).items


def test_names_may_hold_separators_quotes_and_any_script(tmp_path: Path) -> None:
    text = 'file_name,label\n"a, ""b"".avi",Été\n動画 1.mp4,"two\nlines"\nlast.avi,x\n'
    read = read_items(table(tmp_path, text))
    assert [item.path for item in read.items] == ['a, "b".avi', "動画 1.mp4", "last.avi"]
    assert [item.label for item in read.items] == ["Été", "two\nlines", "x"]
    assert read.lines == (2, 3, 5)


def test_all_bad_lines_are_named_together(tmp_path: Path) -> None:
    text = (
        "file_name,label,start_s,end_s\n"
        "good.avi,walk,0,1\n"
        ",walk,0,1\n"
        "b.avi,walk,zero,1\n"
        "\n"
        "c.avi,walk,3,2\n"
        "d.avi,walk\n"
        "e, f.avi,walk,0,1\n"
        "g.avi,walk,-1,2\n"
        "h.avi,walk,nan,\n"
    )
    with pytest.raises(InputDataError) as caught:
        read_items(table(tmp_path, text))
    sentence = str(caught.value)
    for part in (
        "7 lines",
        "line 3: no file name",
        "line 4: start_s 'zero' is not a number of seconds",
        "line 6: end_s 2 is not after start_s 3",
        "line 7: 2 fields where the header names 4",
        "line 8: 5 fields where the header names 4; quote a name",
        "line 9: start_s '-1'",
        "line 10: start_s 'nan'",
        "metadata.csv",
    ):
        assert part in sentence
    assert "\n" not in sentence


def test_a_hundred_bad_lines_are_still_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="and 90 more") as caught:
        read_items(table(tmp_path, "file_name,start_s\n" + "a.avi,x\n" * 100))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "the table is empty"),
        (b"\n \n", "the table is empty"),
        (b"filename,label\na.avi,walk\n", "rename the column 'filename' to file_name"),
        (b"label,split\nwalk,train\n", "names label, split"),
        (b"file_name,label,label\na.avi,x,y\n", "names a column twice"),
        (b"file_name,path\na.avi,b.avi\n", "names a column twice"),
        ("file_name,label\na.avi,walk\n".encode("utf-16"), "UTF-16"),
        ("file_name,label\na.avi,walk\nb.avi,Caf\xe9\n".encode("latin-1"), "line 3"),
        (b'file_name,label\na.avi,"walk\n', "line 2: unexpected end of data"),
        (b"file_name,label\na\0.avi,walk\n", "zero byte"),
    ],
)
def test_unusable_tables_say_why(tmp_path: Path, text: bytes, says: str) -> None:
    with pytest.raises(InputDataError, match=says):
        read_items(table(tmp_path, text))


@settings(max_examples=200)
@given(st.binary(max_size=80) | st.text(st.sampled_from('file_name,path"\r\n\t; 0.\x85\x1c\u2028é'), max_size=60))
def test_any_bytes_are_a_table_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes | str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    for head in (b"", b"file_name,label,start_s\n"):
        path.write_bytes(head + (content.encode() if isinstance(content, str) else content))
        with suppress(InputDataError):
            assert all(item.path for item in read_items(path).items)


def test_a_field_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="field larger than field limit"):
        read_items(table(tmp_path, "file_name,label\n" + "a" * 200_000 + ",x\n"))
    with pytest.raises(InputDataError, match="no column file_name"):
        read_items(table(tmp_path, "a" * 200_000 + ",file_name\nx,y\n"))


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="cannot be read"):
        read_items(tmp_path / "metadata.csv")


@pytest.mark.parametrize(
    ("name", "split"), [("Train", "train"), (" valid ", "val"), ("VALIDATION", "val"), ("testing", "test")]
)
def test_splits_have_one_spelling(name: str, split: str) -> None:
    assert canonical_split(name) == split


def test_other_splits_keep_their_names(tmp_path: Path) -> None:
    assert canonical_split("fold3") is None
    assert read_items(table(tmp_path, "file_name,split\na.avi,fold3\n")).items[0].split == "fold3"


# Whatever a file name or label may hold (no surrogates, no zero byte) survives the way to disk and back.
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
items = st.builds(
    Item,
    path=words,
    label=st.none() | words,
    split=st.none() | words,
    group=st.none() | words,
    start_s=st.none() | st.floats(0, 10),
    end_s=st.none() | st.floats(11, 1e6),
    labels=st.dictionaries(st.sampled_from(["weather", "Ort", "a b", "x;y"]), words, max_size=3),
    more_labels=st.lists(words.filter(lambda name: "|" not in name), max_size=3).map(tuple),
)


@settings(max_examples=150)
@given(st.lists(items, max_size=5))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Item]) -> None:
    path = tmp_path_factory.getbasetemp() / "round_trip.csv"
    write_items(path, rows)
    # A row of blanks alone would be taken for a blank line.
    kept = [row for row in rows if row.path.strip()]
    if len(kept) == len(rows):
        assert list(read_items(path, tolerant=False).items) == rows


def test_several_labels_of_one_video(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label,more_labels\na.avi,boxing,judo | table tennis|\nb.avi,judo,\n")
    assert [item.every_label for item in read_items(path).items] == [("boxing", "judo", "table tennis"), ("judo",)]
    assert read_items(path).items[0].labels == {}
    assert "more_labels" not in write_items(path, [Item("a.avi", "boxing")]).read_text()
    with pytest.raises(InputDataError, match=r"cannot hold these names.*'a\|b'"):
        write_items(path, [Item("a.avi", "x", more_labels=("a|b",))])

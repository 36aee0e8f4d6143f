"""``tubelet models weights``: the public weights files that are known, how to get each, and what it holds."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

import typer

from tubelet.cli.options import print_json, say
from tubelet.reporting.text import times

if TYPE_CHECKING:
    from tubelet.weights.catalog import KnownFile

_WIDTH = 100
_FAMILIES = {
    "c3d": "C3D",
    "res3d": "Res3D",
    "mc3": "Mixed convolutions",
    "r2plus1d": "R(2+1)D",
    "two_stream": "Two-Stream",
    "tsn": "Temporal segment networks",
    "p3d": "Pseudo-3D",
    "t3d": "T3D",
    "imagenet": "Image networks trained on ImageNet, to start from",
}


def list_weights(pattern: str | None, as_json: bool) -> None:
    """Print the catalog, or everything about the files that a name or pattern picks; nothing is downloaded."""
    from tubelet.weights.catalog import find_files, known_files

    if pattern is None:
        found = list(known_files())
        if as_json:
            print_json([each.to_dict(tensors=False) for each in found])
        else:
            _print_list(found)
        return
    found = find_files(pattern)
    if as_json:
        print_json([each.to_dict() for each in found])
        return
    for each in found:
        _print_one(each)


def _print_list(found: list[KnownFile]) -> None:
    from tubelet.weights.maps import list_maps

    for family, files in groupby(found, key=lambda each: each.family):
        typer.echo(f"{_FAMILIES.get(family, family)}\n")
        for each in files:
            if each.split not in (None, 1):
                continue
            none = "fits no network here" if each.file else "was never released"
            network = f"{each.model}, {each.classes or 'no'} classes, recipe {each.recipe}"
            typer.echo(f"  {each.name:<36}  {network if each.model else none}")
            _rows(
                [
                    *(("reaches", str(figure)) for figure in each.published),
                    ("but", f"{each.why}; {each.instead}" if each.model is None else None),
                    ("splits", "the files of split2 and split3 likewise" if each.split else None),
                    ("get", each.url),
                    ("" if each.url else "get", each.get),
                    ("labels", each.labels.url if each.labels else None),
                    ("then", each.command),
                ],
                indent=4,
            )
            typer.echo("")
    typer.echo("Layouts that convert-weights --map takes:\n")
    _rows([("", ", ".join(list_maps()))], indent=2, column=0)
    count = sum(bool(each.model or each.file) for each in found)
    say(
        f"\n{count} files; tubelet models weights NAME shows one with its tensors, hash, license and sources.\n"
        "No weights ship with Tubelet, and none were tried here: links may be dead, and a file that differs is refused."
    )


def _print_one(each: KnownFile) -> None:
    facts = each.to_dict(tensors=False)
    begins = f"begins with {each.sha256_begins}, by its name" if each.sha256_begins else None
    options = ", ".join(f"{key}={value!r}" for key, value in each.network_options.items())
    network = f"{each.model}, {each.classes or 'no'} classes" if each.model else "none here"
    unnamed = each.model is not None and each.classes is not None
    typer.echo(each.name)
    _rows(
        [
            ("what", facts["what"]),
            ("file", each.file),
            ("get", each.get),
            ("from", each.url),
            ("SHA-256", f"{each.sha256} ({each.sha256_from})" if each.sha256 else begins or "not known"),
            ("network", network + (f", {options}" if options else "")),
            ("but", f"{each.why}; {each.instead}" if each.why else None),
            ("recipe", each.recipe),
            *(("reaches", str(figure)) for figure in each.published),
            ("license", each.license),
            ("labels", each.labels.url if each.labels else "no public list is known" if unnamed else None),
            ("", each.labels.says if each.labels else None),
            ("then", each.command),
        ],
        indent=2,
    )
    tensors = each.expected()
    optional = sum(tensor.optional for tensor in tensors)
    note = f", {optional} of which older files lack (*)" if optional else ""
    typer.echo(f"\n  {len(tensors)} tensors{note}\n" if tensors else "\n  its tensors are not known\n")
    names = [f"{tensor.name}{'*' if tensor.optional else ''}" for tensor in tensors]
    width = max(map(len, names), default=0)
    for name, tensor in zip(names, tensors, strict=True):
        typer.echo(f"  {name:<{width}}  {tensor.dtype}  {times(tensor.shape)}")
    if tensors:
        typer.echo("")


def _rows(rows: Iterable[tuple[str, str | None]], indent: int, column: int = 9) -> None:
    """Headings in a column and texts, wrapped; names, links and commands are never broken."""
    width = min(shutil.get_terminal_size((_WIDTH, 24)).columns, _WIDTH)
    for heading, text in rows:
        if not text:
            continue
        lead = " " * indent + heading.ljust(column)
        if heading in ("then", "from") or text.startswith("http"):
            typer.echo(lead + text)  # to be copied whole
        else:
            typer.echo(
                textwrap.fill(
                    text,
                    width,
                    initial_indent=lead,
                    subsequent_indent=" " * len(lead),
                    break_long_words=False,
                    break_on_hyphens=False,
                )
            )

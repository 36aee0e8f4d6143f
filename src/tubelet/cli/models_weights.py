"""``tubelet models weights``: the public weights files that Tubelet can read, and how to get each."""

from __future__ import annotations

import typer

from tubelet.cli.options import print_json


def list_weights(as_json: bool) -> None:
    """Print the catalog; nothing of it is shipped or downloaded."""
    from tubelet.weights.catalog import known_files

    found = known_files()
    if as_json:
        print_json([each.to_dict() for each in found])
        return
    for each in found:
        facts = each.to_dict()
        begins = f"begins with {each.sha256_begins}, by its name" if each.sha256_begins else None
        rows = [
            ("what", facts["what"]),
            ("file", each.file),
            ("get it", each.get),
            ("from", each.url),
            ("SHA-256", each.sha256 or begins),
            ("network", f"{each.model}, {each.classes or 'no'} classes, recipe {facts['recipe']}"),
            *(("published", figure) for figure in facts["published"]),
            ("license", facts["license"]),
            ("then", each.command),
        ]
        typer.echo(each.name)
        for heading, text in rows:
            if text:
                typer.echo(f"  {heading:<10}{text}")
        typer.echo("")
    typer.echo("No weights ship with Tubelet, and none were tried here: a file that differs is refused by name.")

"""What the figures of several systems say, in sentences: honest about intervals, chance and what was chosen when."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tubelet.protocols.fusion import Difference
from tubelet.protocols.results_table import ResultsTable, interval_words, leaked, listed, work_of
from tubelet.protocols.runs import Run
from tubelet.protocols.streams_result import difference_sentence
from tubelet.protocols.systems import Pair, System, paired
from tubelet.reporting.text import percent


@dataclass(frozen=True, eq=False)
class Comparisons:
    """The paired comparisons of a table.

    Attributes
    ----------
    best
        The row that the others are compared with.
    against
        The others with what ``best`` gains over each, in the table's order.
    planned
        Comparisons that were named before the figures were seen: first and second of "second minus first".
    alone
        Rows that have other videos, or kept no outcomes.
    unranked
        Rows that are leaked, beside a best that is not.
    """

    best: System
    against: tuple[tuple[System, Pair], ...]
    planned: tuple[tuple[System, System, Pair], ...]
    alone: tuple[System, ...]
    unranked: tuple[System, ...] = ()


def comparisons(table: ResultsTable, runs: Sequence[Run]) -> Comparisons:
    """Compare the best row with all others on the same videos, and what a run named beforehand."""
    best = table.best
    against: list[tuple[System, Pair]] = []
    alone = []
    for system in table.ranked:
        pair = None if system is best else paired(system, best)
        if pair is not None:
            against.append((system, pair))
        elif system is not best:
            alone.append(system)
    planned = []
    for run in runs:
        if run.planned is None:
            continue
        named = {system.name: system for system in table.systems if system.run == run.name}
        if all(name in named for name in run.planned):
            first, second = (named[name] for name in run.planned)
            pair = paired(first, second)
            if pair is not None:
                planned.append((first, second, pair))
    unranked = tuple(system for system in table.systems if system not in table.ranked)
    return Comparisons(best, tuple(against), tuple(planned), tuple(alone), unranked)


def summary(table: ResultsTable, found: Comparisons) -> str:
    """What the figures say, and a paragraph for each comparison that was named beforehand.

    The best figure, what it is told apart from, what print has, and what to be careful about.
    """
    best, result = table.best, table.best.result
    others = len(table.ranked) - 1
    shares = "of the pairs" if result.unit == "pair" else f"of the {result.unit}s"
    what = f"{result.n} {result.unit}s" + (f" of {len(result.classes)} classes" if result.classes else "")
    interval = ""
    if result.interval is not None:
        low, high = percent(result.interval.low), percent(result.interval.high)
        interval = f" ({percent(result.interval.level, 0)} interval {low} to {high}, {interval_words(result.interval)})"
    tied = [table.called(table.systems[index]) for index in table.strong if table.systems[index] is not best]
    if not others:
        most = ""
    elif tied:
        most = f", as many as {listed(tied)} and the most of {others + 1} systems"
    else:
        most = f", the most of {others + 1} systems"
    chance = f"; guessing gives {percent(1 / len(result.classes), 0)}" if result.classes else ""
    if result.unit == "pair":
        chance = "; guessing gives about half" if not result.classes else chance
    name = table.called(best)
    right = f"**{plain(name)}** gets {percent(result.value)} {shares} right{interval}"
    sentences = [f"On {table.dataset} ({what}), {right}{plain(most)}{chance}."]
    counts = {system.result.n for system in table.ranked}
    if len(counts) > 1:
        sentences.append(
            f"The systems were not tested on equally many {result.unit}s ({min(counts)} to {max(counts)}), so the "
            "highest figure need not be that of the best system."
        )
    if found.unranked:
        names = listed([table.called(system) for system in found.unranked])
        sentences.append(f"Leaked rows are not ranked: {plain(names)}.")
    elif leaked(best):
        sentences.append("It is leaked: test videos were seen in training, so the figure says nothing of new videos.")
    sentences += _told_apart(table, found, {*table.strong})
    named = [
        plain(_spaced(difference_sentence(named_difference(table, first, second, pair))))
        for first, second, pair in found.planned
    ]
    sentences += _beside_print(table)
    sentences += [f"To be noted of {plain(name)}: {plain(note)}." for note in result.notes]
    return "\n\n".join([" ".join(sentences), *(f"Named beforehand: {sentence}." for sentence in named)])


def named_difference(table: ResultsTable, first: System, second: System, pair: Pair) -> Difference:
    """The difference with names that only these two rows of the table have."""
    return replace(pair.difference, first=table.called(first), second=table.called(second))


def _told_apart(table: ResultsTable, found: Comparisons, strong: set[int]) -> list[str]:
    top = {id(table.systems[index]) for index in strong}
    apart, behind, unclear = [], [], []
    for system, pair in found.against:
        if id(system) in top:
            continue
        interval = pair.difference.interval
        gain = f"{table.called(system)} ({100 * pair.difference.accuracy:+.1f} points)"
        if interval.low > 0:
            apart.append(gain)
        elif interval.high < 0:  # the best of all videos may be worse on those that both have
            behind.append(gain)
        else:
            unclear.append(table.called(system))
    told = []
    if apart:
        told.append(f"On the same videos it is better than {plain(listed(apart))}, by paired 95\u00a0% intervals.")
    if behind:
        told.append(f"On the videos that both have it is worse than {plain(listed(behind))}.")
    if unclear:
        begin = "It is" if apart else "On the same videos it is"
        told.append(f"{begin} not told apart from {plain(listed(unclear))}.")
    if len(found.against) > 2:
        told.append("It was chosen as the best after the figures were seen, which flatters it a little.")
    return told


def _beside_print(table: ResultsTable) -> list[str]:
    told = []
    for system in table.systems:
        line = system.result.published
        if line is None:
            continue
        ours, interval = system.result.beside_published
        gap = 100 * (ours - line.value)
        where = f"[[{table.sources.number(work_of(line))}](#ref-{table.sources.number(work_of(line))})]"
        inside = interval is not None and interval.low <= line.value <= interval.high
        versus = "inside our interval" if inside else f"{abs(gap):.1f} points {'below' if gap < 0 else 'above'} it here"
        count = len(line.differences)
        unlike = f", with {count} known difference{'s' * (count != 1)}" if count else ""
        told.append(
            f"Beside {plain(table.called(system))}, print has {percent(line.value)} "
            f"({plain(line.method or 'the closest line')} {where}), {versus}{unlike}."
        )
    return told[:2] or ["No figure in print is comparable."]


def comparison_text(table: ResultsTable, found: Comparisons) -> str:
    """What the figure of differences shows and what it cannot."""
    text = (
        "Every resample draws the same videos for both systems, so a difference may show where two intervals overlap. "
        "What another seed of the training would change is not in these intervals"
    )
    averaged = ", except where seeds are averaged" if any(system.seeds > 1 for system in table.systems) else ""
    parts = [f"{text}{averaged}; they are not widened for their number."]
    if found.alone:
        names = listed([table.called(system) for system in found.alone])
        parts.append(f"Not compared, because their videos differ or were not kept one by one: {plain(names)}.")
    if found.unranked:
        names = listed([table.called(system) for system in found.unranked])
        parts.append(f"Not compared, because they saw test videos in training: {plain(names)}.")
    fewer = [(system, pair) for system, pair in found.against if pair.missing]
    if fewer:
        told = listed([f"{table.called(system)} on {pair.n} videos" for system, pair in fewer])
        parts.append(f"Compared on the videos that both have: {plain(told)}.")
    return " ".join(parts)


def _spaced(text: str) -> str:
    return re.sub(r"(?<=\d)%", "\u00a0%", text)


def plain(text: str) -> str:
    """Names from outside, without the marks that prose understands."""
    return text.replace("`", "'").replace("**", "*").replace("](", "] (")

"""Compares two long texts: by lines, by sentences in long lines, and by words in long sentences.

Pure. The work is bounded: what both texts have in common at their ends is left out first, and a middle that is still
too long to compare is one change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

LONG = 200
"""Characters from which a line is split into sentences, and a sentence into words."""

_MOST_PIECES = 1000
"""Pieces of a text that are compared with those of another: the time grows with their product."""

_MOST_COMPARISONS = 100_000
"""Pairs of pieces from which frequent pieces are not compared."""

_CONTEXT = 60
"""Characters that are shown before and after a change, of the same line."""

_GAP = 20
"""Characters that two changes must have between them, not to be one."""

_END_OF_SENTENCE = re.compile(r"[.!?]\s+")
_WORDS = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True)
class TextChange:
    """One place in which two texts differ.

    :param before: the text before it in both, as far as it is shown.
    :param removed: the text there in the first text.
    :param added: the text there in the second one.
    :param after: the text after it in both, as far as it is shown.
    """

    before: str
    removed: str
    added: str
    after: str


def text_changes(actual: str, wanted: str) -> list[TextChange]:
    """Return the places in which two texts differ, in their order."""
    return [_change(actual, wanted, span) for span in _joined(actual, _spans(actual, wanted))]


_Span = tuple[int, int, int, int]
"""Begin and end of a change in the one text, and in the other."""


def _spans(actual: str, wanted: str) -> Iterator[_Span]:
    one, other = _pieces(actual), _pieces(wanted)
    start, end = common_ends(one, other)
    offsets = len("".join(one[:start])), len("".join(other[:start]))
    one, other = one[start : len(one) - end], other[start : len(other) - end]
    if max(len(one), len(other)) > _MOST_PIECES:
        one, other = ["".join(one)], ["".join(other)]
    ends, other_ends = _ends(one, offsets[0]), _ends(other, offsets[1])
    # To ignore frequent pieces saves work if there are many, but misses places where they repeat.
    matcher = SequenceMatcher(None, one, other, autojunk=len(one) * len(other) > _MOST_COMPARISONS)
    for tag, begin, stop, other_begin, other_stop in matcher.get_opcodes():
        if tag != "equal":
            yield ends[begin], ends[stop], other_ends[other_begin], other_ends[other_stop]


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    for line in text.splitlines(keepends=True):
        for sentence in _sentences(line) if len(line) > LONG else [line]:
            pieces += _WORDS.findall(sentence) if len(sentence) > LONG else [sentence]
    return pieces


def _sentences(line: str) -> list[str]:
    ends = [0, *(match.end() for match in _END_OF_SENTENCE.finditer(line)), len(line)]
    return [line[begin:end] for begin, end in pairwise(ends) if begin < end]


def _ends(pieces: Sequence[str], start: int) -> list[int]:
    """Return where each piece begins, and where the last one ends."""
    ends = [start]
    for piece in pieces:
        ends.append(ends[-1] + len(piece))
    return ends


def _joined(actual: str, spans: Iterator[_Span]) -> Iterator[_Span]:
    """Join changes of one line that have next to nothing between them."""
    last: _Span | None = None
    for span in spans:
        if last is not None and span[0] - last[1] < _GAP and "\n" not in actual[last[1] : span[0]]:
            last = (last[0], span[1], last[2], span[3])
        else:
            if last is not None:
                yield last
            last = span
    if last is not None:
        yield last


def _change(actual: str, wanted: str, span: _Span) -> TextChange:
    begin, end, other_begin, other_end = span
    removed, added = actual[begin:end], wanted[other_begin:other_end]
    if max(len(removed), len(added)) > LONG:  # such as a word of a million characters
        start, stop = common_ends(removed, added)
        begin, end = begin + start, end - stop
        removed, added = removed[start : len(removed) - stop], added[start : len(added) - stop]
    before = actual[max(0, begin - _CONTEXT) : begin].rpartition("\n")[2]
    after = "" if removed.endswith("\n") or added.endswith("\n") else actual[end : end + _CONTEXT].partition("\n")[0]
    return TextChange(before, removed, added, after)


def common_ends(one: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
    """Return how many items two sequences have in common at their beginnings, and at their ends of what is left."""
    start = _in_common(one, other)
    return start, min(_in_common(one[::-1], other[::-1]), len(one) - start, len(other) - start)


def _in_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many items two sequences have in common at their beginnings, in no more time than a comparison."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low

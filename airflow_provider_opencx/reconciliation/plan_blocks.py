"""The blocks of a plan for people: a heading, and one block for each written or refused item.

Pure. What is long is cut, and counted, and the plan begins with saying so; a plan as JSON contains it completely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from airflow_provider_opencx.reconciliation.plan_document import Block, Line, Words
from airflow_provider_opencx.reconciliation.plans import Refuse, Unchanged
from airflow_provider_opencx.reconciliation.step import AnyStepT

LONGEST_DOCUMENT = 200_000
"""Characters that the blocks of all items may have together; the rest of the items have only their heading."""

_HIDDEN = ": values not shown"


@dataclass(frozen=True)
class PlanBlocks:
    """The blocks of a plan's items.

    :param refused: of those that are refused.
    :param others: of those that are written.
    :param unchanged: how many items have none, because they stay unchanged.
    :param hidden: of how many items only the heading is shown.
    :param cut: of how many others a part of the values is not shown.
    """

    refused: tuple[Block, ...]
    others: tuple[Block, ...]
    unchanged: int
    hidden: int
    cut: int

    def attention(self, called: Callable[[int], str], by: str) -> Iterator[Line]:
        """Return what must be said of values that are not shown.

        :param called: returns what a number of items is called.
        :param by: what is shown of an item whose values are not.
        """
        if self.hidden:
            yield Line(
                (
                    f"ATTENTION: this plan is too long to be shown whole. Of {called(self.hidden)}, only the {by} is"
                    " shown, and what happens to it. Approving the plan approves their values as well; the plan as JSON"
                    " has them.",
                )
            )
        if self.cut:
            yield Line(
                (
                    f"ATTENTION: of {called(self.cut)}, a part of the values is not shown, and how long it is stands"
                    " there. Approving the plan approves that part as well; the plan as JSON has it.",
                )
            )


def plan_blocks(
    steps: Iterable[AnyStepT],
    urgency: Callable[[AnyStepT], int],
    heading: Callable[[AnyStepT], Words],
    lines: Callable[[AnyStepT], Iterable[Line]],
) -> PlanBlocks:
    """Return a block for each item that does not stay unchanged, the most urgent first.

    :param urgency: the position of a step among the others; refusals come first.
    :param heading: the heading of a block.
    :param lines: the lines below it.
    """
    found: Sequence[AnyStepT] = [*steps]
    shown = sorted((step for step in found if not isinstance(step.plan, Unchanged)), key=urgency)
    blocks: list[Block] = []
    left, hidden, cut = LONGEST_DOCUMENT, 0, 0
    for step in shown:
        block = Block(heading(step), tuple(lines(step))) if left > 0 else Block((*heading(step), _HIDDEN))
        hidden += left <= 0
        cut += not (isinstance(step.plan, Refuse) or block.is_whole)
        left -= block.size
        blocks.append(block)
    refused = sum(isinstance(step.plan, Refuse) for step in shown)
    return PlanBlocks(tuple(blocks[:refused]), tuple(blocks[refused:]), len(found) - len(shown), hidden, cut)

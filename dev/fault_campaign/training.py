"""Draws runs in which workers sync training scenarios while somebody edits them in the dashboard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from unittest.mock import patch

from airflow_provider_opencx import exceptions
from airflow_provider_opencx.knowledge.resource import TrainingResource
from airflow_provider_opencx.simulator import Simulator
from fault_campaign.attempts import Attempt
from fault_campaign.checks import BrokenPromises
from fault_campaign.faults import ServiceKind, draw_service
from fault_campaign.scenario import Task
from fault_campaign.stage import Stage
from fault_campaign.wire import Killed

Scenario = Mapping[str, Any]

_CONTENTS = ("Refund within 30 days.", "Refund within 14 days.\n\nSay sorry first.", "Ask for the order number.")
_CHANNELS: Sequence[list[str]] = ([], ["phone_voice"], ["phone_voice", "sms"])
_MOST_EDITS = 6


@dataclass(frozen=True)
class TrainingRun:
    """What a run is about.

    :param scripts: of each worker, its tasks in their order.
    :param existing: scenarios that somebody else made, by their titles.
    :param edits_after: seconds before each edit in the dashboard.
    :param may_overwrite: whether the workers may overwrite an edit that is not published.
    """

    service: ServiceKind
    requests_per_minute: int | None
    scripts: Mapping[str, Sequence[Task]]
    existing: Sequence[str]
    edits_after: Sequence[float]
    may_overwrite: bool
    fault_rate: float


def draw_training_run(draws: Random, *, may_be_shared: bool = True) -> TrainingRun:
    """Draw what a run is about.

    :param may_be_shared: whether the workers may have scenarios in common, which they then declare in the same way.
    """
    service = replace(draw_service(draws), generation="2026", tidies=None, placeholder=None)
    workers = range(1, draws.randint(1, 2) + 1)
    is_shared = draws.random() < 0.3 and may_be_shared
    common = _draw_scenarios(draws, 0)
    may_overwrite = draws.random() < 0.2
    has_state_store = draws.random() < 0.6
    scripts = {
        f"worker {number}": [
            Task(
                action="sync_training",
                agent_name="",
                fields={
                    "scenarios": common if is_shared else _draw_scenarios(draws, number),
                    "on_draft": "overwrite" if may_overwrite else "fail",
                },
                deferrable=False,
                retries=draws.randint(0, 3),
                retry_delay=draws.choice((0.0, 5.0, 300.0)),
                has_state_store=has_state_store,
            )
            for _ in range(draws.randint(1, 3))
        ]
        for number in workers
    }
    return TrainingRun(
        service=service,
        requests_per_minute=draws.choice((None, None, 100)),
        scripts=scripts,
        existing=[f"Scenario {number} of somebody else" for number in range(draws.randint(0, 3))],
        edits_after=[draws.uniform(0.0, 120.0) for _ in range(draws.randint(0, _MOST_EDITS))],
        may_overwrite=may_overwrite,
        fault_rate=draws.choice((0.0, 0.05, 0.15, 0.3, 0.5)),
    )


def _draw_scenarios(draws: Random, number: int) -> list[Scenario]:
    return [
        {
            "key": f"worker-{number}/{index}",
            "title": draws.choice((f"Scenario {index} of worker {number}", f"New title {index} of worker {number}")),
            "content": draws.choice(_CONTENTS),
            "channels": draws.choice(_CHANNELS),
        }
        for index in range(draws.randint(1, 3))
    ]


@dataclass
class TrainingChecker:
    """Checks a run: what was promised, compared with what the tasks returned or raised, and what exists.

    :param simulator: the service.
    """

    simulator: Simulator
    run: TrainingRun
    api_key: str
    broken: BrokenPromises = field(default_factory=BrokenPromises)
    _edits: dict[str, str] = field(default_factory=dict)
    _most_of_a_key: Counter[str] = field(default_factory=Counter)
    _in_update: Counter[str] = field(default_factory=Counter)

    def observe(self) -> None:
        """Note how many scenarios there are for each key, and which edits are gone."""
        now = self.simulator.training()
        self._most_of_a_key |= Counter(str(each["metadata"].get("airflow_key")) for each in now)  # type: ignore[union-attr]
        for each in now:
            edit = self._edits.get(str(each["id"]))
            if edit is not None and each["draft_content"] != edit:
                del self._edits[str(each["id"])]
                if not self.run.may_overwrite and each["content"] != edit:
                    self.broken.add("overwritten drafts", f"the edit of {each['title']!r} is gone")

    def edit_something(self, draws: Random, number: int) -> None:
        """Edit a scenario in the dashboard, and do not publish it.

        Not one that a worker has just read in order to write it: nobody could see such an edit.
        """
        free = [each for each in self.simulator.training() if not self._in_update[str(each["id"])]]
        if free:
            chosen = draws.choice(free)
            self._edits[str(chosen["id"])] = f"Edit {number} in the dashboard."
            self.simulator.edit_training(str(chosen["id"]), content=self._edits[str(chosen["id"])])

    @contextmanager
    def updates_seen(self) -> Generator[None]:
        """Note which scenarios are between the last read before an update and its end."""
        update = TrainingResource.update

        def noted(resource: TrainingResource, plan: Any, declared: Any) -> Any:
            self._in_update[plan.item.id] += 1
            try:
                return update(resource, plan, declared)
            finally:
                self._in_update[plan.item.id] -= 1

        with patch.object(TrainingResource, "update", noted):
            yield

    def check_task(self, task: Task, attempts: Sequence[Attempt]) -> None:
        """Check a task that has ended, before anybody else acts."""
        for attempt in attempts:
            if attempt.error is not None and not isinstance(attempt.error, Killed):
                self._check_error(attempt, attempt.error)
        result = attempts[-1].result
        if result is None:
            return
        for declared, returned in zip(task.fields["scenarios"], result, strict=True):
            found = self._of_key(declared["key"])
            if [each["id"] for each in found] != [returned["id"]]:
                self.broken.add("untrue results", f"{declared['key']!r} is returned, and there are {len(found)}")
            elif not _is_as_declared(declared, found[0]):
                self.broken.add("lost writes", f"{declared['key']!r} is {found[0]}, not {declared}")

    def check_afterwards(self, task: Task, attempt: Attempt, *, is_second: bool) -> None:
        """Check a try that nothing stood in the way of, but edits that are not published."""
        if attempt.result is None:
            if not (self._edits and isinstance(attempt.error, exceptions.OpenCXPlanRefusedError)):
                self.broken.add("untrue results", f"a sync that nothing stood in the way of raised {attempt.error!r}")
            return
        writes = [sent.operation.id for sent in attempt.sent if not sent.operation.is_read]
        if is_second and writes:
            self.broken.add("needless requests", f"a second sync sent {writes}")

    def close(self) -> None:
        """Check what is there at the end."""
        for key, most in self._most_of_a_key.items():
            if key != "None" and most > 1:
                self.broken.add("duplicates", f"there were {most} training scenarios of the key {key!r}")
        titles = [each["title"] for each in self.simulator.training() if not each["metadata"]]
        if sorted(map(str, titles)) != sorted(self.run.existing):
            self.broken.add("lost writes", f"what others made is now {titles}")

    def _of_key(self, key: str) -> list[dict[str, Any]]:
        return [each for each in self.simulator.training() if each["metadata"].get("airflow_key") == key]  # type: ignore[union-attr]

    def _check_error(self, attempt: Attempt, error: BaseException) -> None:
        if not isinstance(error, exceptions.OpenCXError) or not str(error).strip():
            self.broken.add("untyped errors", f"a sync raised {error!r}")
        if self.api_key in f"{error!r} {error} {vars(error)}":
            self.broken.add("untyped errors", f"{type(error).__name__} holds the API key")
        writes = [sent for sent in attempt.sent if not sent.operation.is_read]
        if str(error).startswith("Nothing was sent") and writes:
            self.broken.add("untrue results", f"{error}, though {len(writes)} writes were sent")


def parts_of(
    run: TrainingRun,
    checker: TrainingChecker,
    stage: Stage,
    draws: Random,
    perform: Callable[[Task], Attempt],
) -> dict[str, Callable[[], None]]:
    """Return what each worker, and the person at the dashboard, does in a run."""

    def play(script: Sequence[Task]) -> None:
        for task in script:
            perform(task)

    def edit() -> None:
        for number, seconds in enumerate(run.edits_after):
            stage.sleep(seconds)
            checker.edit_something(draws, number)

    return {"person": edit, **{name: lambda script=script: play(script) for name, script in run.scripts.items()}}


def _is_as_declared(declared: Scenario, stored: Mapping[str, Any]) -> bool:
    return (
        stored["title"] == declared["title"]
        and stored["content"] == declared["content"]
        and sorted(stored["restricted_to_channels"]) == sorted(declared["channels"])
        and stored["is_draft"] is False
    )

"""Plays the phases of a run of Dags that call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from fault_campaign.dag_checks import DagChecker
from fault_campaign.dag_runs import DagRun, Instance, Scheduler, clear, expand
from fault_campaign.dags import DAY, DagScenario, DagTask, Phase, changed
from fault_campaign.faults import LATEST
from fault_campaign.sequence_checks import SequenceChecker
from fault_campaign.sequences import CONTINUOUS_ID, Edit, SequencePhase, StartTask, filter_of
from fault_campaign.stage import Stage

if TYPE_CHECKING:
    from fault_campaign.campaign import Tally

_CLEARS = ("clear run", "clear task")

_LONGEST_WAIT = 900
"""Seconds for which somebody waits for a task."""


class PlayedRun:
    """Plays the phases of a run.

    :param switch: switches calls on and off.
    """

    def __init__(
        self,
        run: DagScenario,
        stage: Stage,
        *,
        scheduler: Scheduler,
        checker: DagChecker,
        draws: Random,
        tally: Tally,
        switch: Callable[[bool], None],
    ) -> None:
        self._run = run
        self._stage = stage
        self._scheduler = scheduler
        self._checker = checker
        self._draws = draws
        self._tally = tally
        self._switch_calls = switch
        self._people = {task.task_id: list(task.people) for task in run.tasks}
        self._runs: list[DagRun] = []

    def phase(self, phase: Phase) -> None:
        """Let happen what a phase begins with, and then let all tasks run that have to."""
        if phase.event in _CLEARS and any(each.has_lost_somebody for each in self._runs[-1].instances.values()):
            phase = replace(phase, event="new run")  # a limit of the ledger, which the docs name
        self._stage.sleep(phase.seconds)
        for task in self._run.tasks:
            if not task.people:
                continue
            people = changed(self._draws, self._people[task.task_id], phase.change, self._run.known)
            if phase.event in _CLEARS and self._is_silent(task):
                people = self._people[task.task_id]  # a limit of the ledger, which the docs name
            self._people[task.task_id] = people[:1] if task.form == "one" else people
        instances = self._begin(phase)
        self._tally.faults[phase.event] += 1
        queues: list[list[Instance]] = [[] for _ in range(phase.workers)]
        for number, instance in enumerate(instances):
            queues[number % phase.workers].append(instance)

        def work(queue: Sequence[Instance]) -> None:
            for instance in queue:
                self._play(instance)

        parts = {f"worker {number}": partial(work, queue) for number, queue in enumerate(queues)}
        self._stage.perform(parts | self._persons(phase))

    def calm_run(self) -> None:
        """Play a last Dag run, in which nothing goes wrong."""
        before = len(self._checker.tries)
        self._runs.append(DagRun(f"run {len(self._runs)}", "manual"))
        for instance in self._expand():
            self._play(instance)
        for tried in self._checker.tries[before:]:
            self._checker.end_calmly(tried)

    def _play(self, instance: Instance) -> None:
        attempts = self._scheduler.play(self._runs[-1], instance)
        if attempts:
            self._tally.count(attempts)

    def _begin(self, phase: Phase) -> list[Instance]:
        if phase.event in ("new run", "backfill"):
            run_type = "backfill" if phase.event == "backfill" else "manual"
            self._runs.append(DagRun(f"{phase.event} {len(self._runs)}", run_type))
            instances = self._expand()
        else:
            instances = self._expand()
            if phase.event == "clear task":
                instances = [self._draws.choice(self._to_clear(phase, instances))]
            clear(self._runs[-1], instances)
        self._draws.shuffle(instances)
        # A worker that waits for an upstream task must not have it behind in its own queue.
        return sorted(instances, key=lambda instance: instance.task.upstream is not None)

    def _to_clear(self, phase: Phase, instances: Sequence[Instance]) -> Sequence[Instance]:
        """Return the instances of which one is cleared."""
        return instances

    def _wait(self, phase: Phase) -> None:
        """Wait for what comes before calls are switched off."""

    def _is_silent(self, task: DagTask) -> bool:
        instances = self._runs[-1].instances.items()
        return any(instance.is_silent for (task_id, _), instance in instances if task_id == task.task_id)

    def _expand(self) -> list[Instance]:
        expanded = [expand(self._runs[-1], task, self._people[task.task_id]) for task in self._run.tasks]
        return [instance for instances in expanded for instance in instances]

    def _persons(self, phase: Phase) -> dict[str, Callable[[], None]]:
        """Return what people do in a phase."""
        return {} if phase.switched is None else {"person": partial(self._switch, phase, *phase.switched)}

    def _switch(self, phase: Phase, after: float, seconds: float) -> None:
        """Switch calls off, and on again."""
        self._wait(phase)
        self._stage.sleep(after)
        self._tally.faults["calls switched off"] += 1
        for allowed, pause in ((False, seconds), (True, 0.0)):
            self._switch_calls(allowed)
            self._checker.allowed = allowed
            self._stage.sleep(pause)


class PlayedSequences(PlayedRun):
    """Plays the phases of a run of sequences, which somebody changes in the dashboard between them."""

    def phase(self, phase: Phase) -> None:
        """Let happen what a phase begins with, and then let all tasks run that have to."""
        if isinstance(phase, SequencePhase) and isinstance(self._checker, SequenceChecker):
            self._stage.sleep(LATEST)  # nobody could see an edit that comes before a start that is on its way
            self._checker.observe_late()
            if phase.edit is not None and not phase.edits_between:
                simulator = self._checker.simulator
                free = [each for each in simulator.sequences() if not each["started_at"] or each["id"] == CONTINUOUS_ID]
                chosen = self._draws.choice([*free, *[free[-1]] * 2])  # mostly the newest
                self._edit(phase.edit, self._checker, chosen)
            self._checker.simulator.drops_sequence_fields = phase.dropped
        super().phase(phase)

    def calm_run(self) -> None:
        """Play a last Dag run, in which nothing goes wrong, and let all steps come to their ends."""
        simulator = self._checker.simulator
        simulator.sequences_lag, simulator.drops_sequence_fields = 0.0, ()
        super().calm_run()
        self._stage.sleep(DAY)

    def _to_clear(self, phase: Phase, instances: Sequence[Instance]) -> Sequence[Instance]:
        """Return the instances of which one is cleared: a start, after somebody has changed something."""
        starts = [instance for instance in instances if isinstance(instance.task, StartTask)]
        is_edited = isinstance(phase, SequencePhase) and phase.edit is not None and not phase.edits_between
        return starts if is_edited and starts else instances

    def _wait(self, phase: Phase) -> None:
        """Wait until a sequence is about to be started, if that is so in a phase."""
        if not (isinstance(phase, SequencePhase) and phase.waits_for_start):
            return
        for _ in range(_LONGEST_WAIT):
            instances = self._runs[-1].instances.values()
            if any(isinstance(each.task, StartTask) and each.state == "running" for each in instances):
                return
            self._stage.sleep(1.0)

    def _persons(self, phase: Phase) -> dict[str, Callable[[], None]]:
        """Return what people do in a phase."""
        persons, checker = super()._persons(phase), self._checker
        if not (isinstance(phase, SequencePhase) and isinstance(checker, SequenceChecker)):
            return persons
        # No start can see what is changed after it has read the sequence, or where reads are behind.
        is_seen = not (checker.run.lag or checker.run.takeover_rate)
        if phase.edit is not None and phase.edits_between and is_seen:
            persons["editor"] = partial(self._edit_between, phase.edit, checker)
        return persons

    def _edit_between(self, edit: Edit, checker: SequenceChecker) -> None:
        """Change a sequence when it is made, and the task that is to start it has not read it yet."""
        for _ in range(_LONGEST_WAIT):
            made = self._about_to_start()
            for stored in checker.simulator.sequences():
                if stored["id"] == made and not stored["started_at"]:
                    self._edit(edit, checker, stored)
                    return
            self._stage.sleep(1.0)

    def _about_to_start(self) -> str | None:
        """Return the id of the sequence that is to be started, and that no running start has read yet."""
        running = [each.tried for each in self._runs[-1].instances.values() if each.state == "running"]
        starts = [tried for tried in running if tried is not None and tried.given is not None]
        return starts[0].given["id"] if starts and not any(tried.attempt.sent for tried in starts) else None

    def _edit(self, edit: Edit, checker: SequenceChecker, chosen: Mapping[str, Any]) -> None:
        """Change a sequence that has not begun, or whom the continuous one admits."""
        simulator = checker.simulator
        fields: dict[str, Any] = {
            "people": {"filter": filter_of(self._draws.sample(sorted({*self._run.known}), 2))},
            "everybody": {"filter": filter_of(None)},
            "steps": {"steps": [{**step, "delay_in_minutes": 3} for step in _as_asked(chosen["steps"])]},
            "is_continuous": {"is_continuous": True},
        }[edit]
        simulator.update_sequence(chosen["id"], **fields)
        checker.edited.add(chosen["id"])
        self._tally.faults["edit in the dashboard"] += 1


def _as_asked(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return steps without what the service says of them."""
    return [{name: step[name] for name in ("action", "delay_in_minutes") if name in step} for step in steps]

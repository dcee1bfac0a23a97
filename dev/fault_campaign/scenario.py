"""Draws the scenario of a run from its seed: the service, the workers with their tasks, and the share of faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeAlias, get_args

from fault_campaign.faults import ServiceKind, draw_service

Fields: TypeAlias = Mapping[str, object]
Action: TypeAlias = Literal["create", "upsert", "upsert_and_wait", "update", "wait", "sync", "sync_training"]

Part: TypeAlias = Literal["agents", "training", "calls", "sequences", "extractions"]
PARTS: tuple[Part, ...] = get_args(Part)
"""What a run consists of, one after the other; each is drawn alone."""

SECONDS_BETWEEN_TASKS = 60.0
"""Seconds from the end of a task to the next one on the same agent: more than the longest lag, and than a late create.
"""

_PROGRESSIONS = (
    "now",
    "20s",
    "90s",
    "2reads",
    "never",
    "now, lost after 60s",
    "20s, changed after 1reads",
    "20s, lost after 1reads, given after 90s",
    "60s, gone after 60s",
)

ACTION_IDS = ["book", "cancel"]
"""The actions of the organization: the service refuses agents with others."""

_VALUES: Mapping[str, Sequence[object]] = {
    "first_message": ("Hello, this is Aria.", "Guten Tag", ""),
    "language": ("fr", "tr", ["es"]),
    "handoff_phone_number": ("+14155550100", "+44 20 7946 0000", None),
    "instructions": ([], ["Be brief."], ["Be brief.", "Say goodbye."]),
    "voice_id": ("voice_bruno", "voice_celia"),
    "action_ids": (None, [], ACTION_IDS),
}

_UNTIDY_NAMES: Mapping[str, str] = {
    "escape": "agent & worker {}",
    "collapse": "agent  of worker {}",
    "trim": " agent of worker {} ",
    "cut": f"agent of worker {{}}{' of a long name' * 4}",
    "nfkc": "\N{FULLWIDTH LATIN SMALL LETTER A}gent of worker {}",
}
"""For each way in which a service tidies texts, names that it changes."""


@dataclass(frozen=True)
class Task:
    """One task, with the settings that Airflow would find on it.

    :param action: what the operator does.
    :param fields: what is declared, but for the name; of a ``sync``, the ``agents`` of the fleet.
    :param deferrable: of a task that waits: whether it waits in the triggerer.
    :param retry_delay: seconds.
    :param has_state_store: whether Airflow has a task state store, as since 3.3.
    """

    action: Action
    agent_name: str
    fields: Fields
    deferrable: bool
    retries: int
    retry_delay: float
    has_state_store: bool = True

    @property
    def waits(self) -> bool:
        """Whether the task ends with a number."""
        return self.action in ("wait", "upsert_and_wait")


@dataclass(frozen=True)
class SecretsOutage:
    """A time in which the secrets backend does not respond, in seconds since the run began."""

    begins_at: float
    ends_at: float


@dataclass(frozen=True)
class Scenario:
    """One run.

    :param scripts: of each worker, its tasks in their order.
    :param is_shared: whether all workers have the same agent, and declare it in the same way; otherwise no two have an
        agent in common.
    :param existing: the agents that are there before: name and fields.
    :param fault_rate: how probable it is that a read meets a fault; a write meets one twice as often.
    :param secrets_outage: when the connection cannot be read, ``None`` for never.
    """

    service: ServiceKind
    page_size: int
    provision_after: str
    requests_per_minute: int | None
    scripts: Mapping[str, Sequence[Task]]
    is_shared: bool
    existing: Sequence[Fields]
    fault_rate: float
    secrets_outage: SecretsOutage | None

    @property
    def names(self) -> list[str]:
        """The declared names."""
        return sorted({task.agent_name for script in self.scripts.values() for task in script})

    def existing_of(self, name: str) -> int:
        """Return how many agents of a declared name are there before."""
        return sum(agent["name"] == name for agent in self.existing)


def draw_scenario(draws: Random, *, may_be_shared: bool = True) -> Scenario:
    """Draw what a run is about.

    :param may_be_shared: whether the workers may have an agent in common.
    """
    service = draw_service(draws)
    is_shared = draws.random() < 0.2 and may_be_shared
    has_state_store = draws.random() < 0.6
    workers = range(1, draws.randint(2, 3) + 1)
    if is_shared:
        name, fields = _draw_name(draws, service, 1), _draw_fields(draws, at_least=1)
        scripts = {f"worker {number}": _draw_script(draws, name, has_state_store, fields) for number in workers}
    else:
        scripts = {
            f"worker {number}": _draw_script(draws, _draw_name(draws, service, number), has_state_store)
            for number in workers
        }
    return Scenario(
        service=service,
        page_size=draws.randint(1, 5),
        provision_after=draws.choice(_PROGRESSIONS),
        requests_per_minute=draws.choice((None, None, 100, 10)),
        scripts=scripts,
        is_shared=is_shared,
        existing=_draw_existing(draws, sorted({task.agent_name for script in scripts.values() for task in script})),
        fault_rate=draws.choice((0.0, 0.05, 0.15, 0.3, 0.5)),
        secrets_outage=_draw_secrets_outage(draws),
    )


def _draw_name(draws: Random, service: ServiceKind, number: int) -> str:
    is_untidy = draws.random() < 0.7
    form = _UNTIDY_NAMES[service.tidies.way] if service.tidies is not None and is_untidy else "agent of worker {}"
    return form.format(number)


def _draw_script(draws: Random, agent_name: str, has_state_store: bool, fields: Fields | None = None) -> Sequence[Task]:
    """Draw the tasks of a worker.

    :param fields: what each of them declares; ``None`` to draw that as well.
    """
    actions: list[Action] = draws.choices(
        ("upsert", "upsert_and_wait", "create", "update", "wait"), weights=(4, 2, 3, 2, 3), k=draws.randint(2, 4)
    )
    return [
        Task(
            action=action,
            agent_name=agent_name,
            fields=_draw_fields(draws, at_least=1 if action == "update" else 0) if fields is None else fields,
            deferrable=draws.random() < 0.5,
            retries=draws.randint(0, 4),
            retry_delay=draws.choice((0.0, 5.0, 300.0)),
            has_state_store=has_state_store,
        )
        for action in actions
    ]


def _draw_fields(draws: Random, *, at_least: int) -> Fields:
    chosen = draws.sample(sorted(_VALUES), draws.randint(at_least, len(_VALUES)))
    return {field: draws.choice(_VALUES[field]) for field in chosen}


def _draw_existing(draws: Random, names: Sequence[str]) -> list[Fields]:
    """Draw agents of other names, and now and then one of a declared name, or an inbound one, or two."""
    existing: list[Fields] = [{"name": f"another {number}"} for number in range(draws.randint(0, 4))]
    for name in names:
        kind = draws.choices(("none", "one", "inbound", "two"), weights=(80, 12, 4, 4))[0]
        own = {"name": name, "type": "inbound" if kind == "inbound" else "outbound", "first_message": "Hi"}
        existing += [own] * {"none": 0, "two": 2}.get(kind, 1)
    draws.shuffle(existing)
    return existing


def _draw_secrets_outage(draws: Random) -> SecretsOutage | None:
    begins_at, seconds = draws.uniform(0.0, 600.0), draws.uniform(1.0, 200.0)
    return SecretsOutage(begins_at, begins_at + seconds) if draws.random() < 0.15 else None

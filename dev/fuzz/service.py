"""A small correct service whose first responses are replaced with hostile ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from fuzz.replies import Reply
from fuzz.server import Received, Step

NUMBER = "+14155550123"


@dataclass(frozen=True)
class Exchange:
    """One request and the response to it."""

    received: Received
    reply: Reply

    @property
    def proves_unhandled(self) -> bool:
        """Whether the response may be one that says that nothing was created: a 429, or another refusal."""
        status = self.reply.status
        return status is not None and 300 <= status < 500 and status != 408


@dataclass
class Service:
    """Keeps agents, and responds to each request.

    :param hostile: the responses to the first requests.
    :param existing: the names of the agents that are there.
    """

    hostile: Sequence[Reply] = ()
    existing: Sequence[str] = ()
    exchanges: list[Exchange] = field(default_factory=list)
    is_followed: bool = False
    """Whether each response is to be recognized by the number of its request."""

    def __post_init__(self) -> None:
        self._agents: dict[str, dict[str, object]] = {}
        for name in self.existing:
            self._add({"name": name, "type": "outbound"})

    def respond(self, received: Received) -> list[Step]:
        """Handle a request, and return what is sent for it."""
        reply = self._reply_to(received)
        self.exchanges.append(Exchange(received, reply))
        return reply.steps()

    def _reply_to(self, received: Received) -> Reply:
        if self.is_followed:
            return self._own(received)
        place = len(self.exchanges)
        if place >= len(self.hostile):
            return self._handled(received)
        hostile = self.hostile[place]
        if not Exchange(received, hostile).proves_unhandled:
            self._handled(received)
        return hostile

    def _own(self, received: Received) -> Reply:
        agent = {"id": own_id(len(self.exchanges)), "name": "own", "type": "outbound", "phone_number": NUMBER}
        return _json(201, agent) if received.method == "POST" else _json(200, [agent])

    def _handled(self, received: Received) -> Reply:
        if received.path == "/phone" and received.method == "GET":
            return _json(200, list(self._agents.values()))
        if received.path == "/phone/voices":
            return _json(200, [{"voice_id": "v", "name": "Voice"}])
        try:
            fields = json.loads(received.body)
        except ValueError:
            fields = {}
        if received.path == "/phone" and received.method == "POST":
            return _json(201, self._add(fields))
        if received.method == "PATCH" and (agent := self._agents.get(received.path.rpartition("/")[2])):
            agent.update(fields)
            return _json(200, agent)
        return _json(200, {})

    def _add(self, fields: dict[str, object]) -> dict[str, object]:
        agent: dict[str, object] = {"id": f"s{len(self._agents)}", "phone_number": NUMBER, **fields}
        return self._agents.setdefault(str(agent["id"]), agent)


def own_id(place: int) -> str:
    """Return the id in the response to the request at a place of the exchanges."""
    return f"own-{place}"


def _json(status: int, value: object) -> Reply:
    return Reply(
        status_line=b"HTTP/1.1 %d Status" % status,
        headers=(b"Content-Type: application/json",),
        entity=(json.dumps(value).encode(),),
    )

"""Driving a simulator that runs as a process: what a test does to it, over HTTP, under ``/_simulator/``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_opencx.simulator.call import bearer_key
from airflow_provider_opencx.simulator.clock import duration
from airflow_provider_opencx.simulator.contract import ContractError, Generation
from airflow_provider_opencx.simulator.faults import FAULTS, Fault
from airflow_provider_opencx.simulator.json_values import Json, JsonObject, read_json, write_json
from airflow_provider_opencx.simulator.loopback import is_loopback
from airflow_provider_opencx.simulator.operations import refuse
from airflow_provider_opencx.simulator.resources.phone_agents.progression import Progression
from airflow_provider_opencx.simulator.resources.phone_agents.store import UnknownAgentError, check_field_names
from airflow_provider_opencx.simulator.service import Service

Answering = Callable[[Request], Awaitable[Response]]


def _readable_progression(text: str) -> str:
    Progression.parse(text)
    return text


ProgressionText = Annotated[str, AfterValidator(_readable_progression)]
Duration = Annotated[float, BeforeValidator(duration)]


class _Form(BaseModel):
    """What a request holds. Members that it does not know are mistakes."""

    model_config = ConfigDict(extra="forbid", strict=True)


class _Nothing(_Form):
    """An empty object."""


class _AgentForm(BaseModel):
    """Members of an agent, its ``phone_number`` and its ``progression``; the store knows the names of the rest."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, Json]

    phone_number: str | None = None
    progression: ProgressionText | None = None

    @model_validator(mode="after")
    def _names(self) -> Self:
        check_field_names(self.model_fields_set - {"phone_number", "progression"})
        return self

    def members(self) -> JsonObject:
        """Return what was written, without the progression."""
        return self.model_dump(exclude={"progression"}, exclude_unset=True)


class _NewAgent(_AgentForm):
    name: str


class _Agents(_Form):
    agents: list[_NewAgent]


class _FaultOrder(_Form):
    operation: str
    fault: JsonObject
    times: PositiveInt | None = 1
    probability: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: int | None = None


class _Settings(_Form):
    provision_after: ProgressionText | None = None
    generation: Generation | None = None
    page_size: PositiveInt | None = None
    requests_per_minute: PositiveInt | None = None


class _Advance(_Form):
    advance: Duration


_FormType = TypeVar("_FormType", bound=BaseModel)


def create_admin(service: Service, host: str, remote: bool) -> Starlette:
    """Make the application that drives a service.

    :param host: the name under which the simulator listens
    :param remote: whether clients on other machines may drive it, too
    """
    admin = _Admin(service)
    guard = _Guard(host, remote)
    places: list[tuple[str, str, Answering]] = [
        ("POST", "/reset", admin.reset),
        ("GET", "/agents", admin.read_agents),
        ("POST", "/agents", admin.add_agents),
        ("PATCH", "/agents/{agent_id}", admin.change_agent),
        ("DELETE", "/agents/{agent_id}", admin.remove_agent),
        ("POST", "/faults", admin.order_fault),
        ("DELETE", "/faults", admin.heal),
        ("GET", "/settings", admin.read_settings),
        ("PATCH", "/settings", admin.change_settings),
        ("GET", "/clock", admin.read_clock),
        ("POST", "/clock", admin.advance_clock),
        ("GET", "/journal", admin.read_journal),
        ("DELETE", "/journal", admin.forget_journal),
    ]
    return Starlette(
        routes=[Route(path, guard.guarded(answer), methods=[method]) for method, path, answer in places],
        exception_handlers={HTTPException: _refuse},
    )


@dataclass(frozen=True)
class _Guard:
    """Lets in who may drive the simulator: programs on this machine, and no web page that a browser shows there.

    A page cannot send ``application/json`` to another origin unasked, a browser says where a page is from, and a
    page whose name was pointed at this machine brings that name along as the host.
    """

    host: str
    remote: bool

    def guarded(self, answer: Answering) -> Answering:
        """Return the same, but for those alone who are let in."""

        async def guarded(request: Request) -> Response:
            self._check(request)
            return await answer(request)

        return guarded

    def _check(self, request: Request) -> None:
        if not self.remote:
            if request.client is None or not is_loopback(request.client.host):
                raise HTTPException(403, "Only this machine may drive the simulator, unless it is told otherwise")
            host = _host_name(request.headers.get("host", ""))
            if not (is_loopback(host) or host == self.host):
                raise HTTPException(403, "The header Host does not name this machine")
        if "origin" in request.headers:
            raise HTTPException(403, "A web page may not drive the simulator")
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.method not in ("GET", "HEAD") and content_type != "application/json":
            raise HTTPException(415, "What changes something needs the header Content-Type: application/json")


class _Admin:
    """What can be done to a service. A header ``Authorization`` picks an organization; without one, it is the first."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def reset(self, request: Request) -> Response:
        await _read(request, _Nothing)
        self._service.reset()
        return _answer(self._settings())

    async def read_agents(self, request: Request) -> Response:
        return _answer({"agents": list[Json](self._service.agents(self._api_key(request)))})

    async def add_agents(self, request: Request) -> Response:
        """Add all of the agents, or none where one of them is not right."""
        api_key, form = self._api_key(request), await _read(request, _Agents)
        added: list[JsonObject] = []
        try:
            for new in form.agents:
                members = new.members()
                del members["name"]
                added.append(self._service.add_agent(new.name, api_key=api_key, progression=new.progression, **members))
        except (ValueError, ContractError) as mistake:
            for agent in added:
                self._service.remove_agent(str(agent["id"]))
            raise HTTPException(400, f"agents.{len(added)}: {mistake}") from None
        return _answer({"agents": list[Json](added)}, 201)

    async def change_agent(self, request: Request) -> Response:
        agent_id, form = request.path_params["agent_id"], await _read(request, _AgentForm)
        members = form.members()
        number = members.pop("phone_number", None)
        try:
            agent = self._service.change_agent(agent_id, **members)
            if isinstance(number, str):
                agent = self._service.give_number(agent_id, number)
            elif "phone_number" in form.model_fields_set:
                agent = self._service.take_number(agent_id)
            if form.progression is not None:
                agent = self._service.progress(agent_id, form.progression)
        except UnknownAgentError:
            raise _unknown(agent_id) from None
        except (ValueError, ContractError) as mistake:
            raise HTTPException(400, str(mistake)) from None
        return _answer(agent)

    async def remove_agent(self, request: Request) -> Response:
        agent_id = request.path_params["agent_id"]
        try:
            self._service.remove_agent(agent_id)
        except UnknownAgentError:
            raise _unknown(agent_id) from None
        return Response(status_code=204)

    async def order_fault(self, request: Request) -> Response:
        form = await _read(request, _FaultOrder)
        try:
            fault = _fault(form.fault)
            self._service.fail(form.operation, fault, form.times, probability=form.probability, seed=form.seed)
        except ValueError as mistake:
            raise HTTPException(400, str(mistake)) from None
        return _answer({"operation": form.operation, "fault": repr(fault), "times": form.times}, 201)

    async def heal(self, request: Request) -> Response:
        self._service.heal()
        return Response(status_code=204)

    async def read_settings(self, request: Request) -> Response:
        return _answer(self._settings())

    async def change_settings(self, request: Request) -> Response:
        form = await _read(request, _Settings)
        for name in form.model_fields_set:
            if getattr(form, name) is None and name != "requests_per_minute":
                raise HTTPException(400, f"{name}: it cannot be null")
        for name in form.model_fields_set:
            setattr(self._service, name, getattr(form, name))
        return _answer(self._settings())

    async def read_clock(self, request: Request) -> Response:
        return _answer({"seconds": self._service.clock()})

    async def advance_clock(self, request: Request) -> Response:
        form = await _read(request, _Advance)
        self._service.advance(form.advance)
        return await self.read_clock(request)

    async def read_journal(self, request: Request) -> Response:
        records: list[Json] = [asdict(record) for record in self._service.requests]
        return _answer({"requests": records, "faults_met": dict(self._service.faults_met())})

    async def forget_journal(self, request: Request) -> Response:
        self._service.forget_requests()
        return Response(status_code=204)

    def _settings(self) -> JsonObject:
        return {name: getattr(self._service, name) for name in _Settings.model_fields}

    def _api_key(self, request: Request) -> str | None:
        if "authorization" not in request.headers:
            return None
        api_key = bearer_key(request.headers["authorization"])
        if self._service.organization_of(api_key) is None:
            raise HTTPException(401, "That API key is none of the simulator's")
        return api_key


async def _read(request: Request, form: type[_FormType]) -> _FormType:
    try:
        return form.model_validate_json(write_json(read_json(await request.body() or b"{}")))
    except ValidationError as mistakes:
        raise HTTPException(400, _said(mistakes)) from None
    except ValueError as mistake:
        raise HTTPException(400, f"The body is not JSON: {mistake}") from None


def _fault(form: JsonObject) -> Fault:
    kind = form.get("type")
    if not isinstance(kind, str) or kind not in FAULTS:
        raise ValueError(f"fault.type: {kind!r} is none of {', '.join(FAULTS)}")
    arguments = {name: value for name, value in form.items() if name != "type"}
    try:
        return TypeAdapter(FAULTS[kind]).validate_json(write_json(arguments), strict=True)
    except ValidationError as mistakes:
        raise ValueError(_said(mistakes, "fault")) from None


def _said(mistakes: ValidationError, *within: str) -> str:
    said = []
    for error in mistakes.errors():
        place = ".".join(str(step) for step in (*within, *error["loc"]))
        message = error["msg"].removeprefix("Value error, ")
        said.append(f"{place}: {message}" if place else message)
    return "; ".join(said)


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _unknown(agent_id: str) -> HTTPException:
    return HTTPException(404, f"There is no phone agent {agent_id}")


def _answer(body: Json, status: int = 200) -> Response:
    return Response(write_json(body), status, media_type="application/json")


async def _refuse(request: Request, problem: Exception) -> Response:
    if not isinstance(problem, HTTPException):
        raise problem
    return refuse(problem.status_code, problem.detail, problem.headers)

"""Tests that each command does what its help says, and that its examples run against the simulator."""

from __future__ import annotations

import json
import os
import pty
import re
import selectors
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from airflow_standalone import connection_json

from airflow_provider_opencx.__main__ import main
from airflow_provider_opencx.cli.parser import PROGRAM, commands
from airflow_provider_opencx.simulator import ErrorResponse, HandleLate, Simulator, StaleList
from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.faults.fault import Fault, Handle
from airflow_provider_opencx.simulator.responses import Response

FLEET = """\
variables: {REGION: emea}
agents:
  - name: Spring ${REGION}
    language: en
    first_message: |
      Hello there.
      This is Ann.
  - name: Autumn
"""

LONG_RUNNING = "simulate"
EXAMPLES = {
    f"{command.name} {number}": line
    for command in commands()
    if command.name != LONG_RUNNING
    for number, line in enumerate(command.example.splitlines())
}


@pytest.fixture
def simulator(opencx_simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """A simulator behind the key in the environment, and a fleet in the current directory."""
    (tmp_path / "fleet.yaml").write_text(FLEET)
    (tmp_path / "training").mkdir()
    (tmp_path / "training/refund.md").write_text("---\ntitle: Refund policy\n---\nWithin 30 days.\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENCX_API_KEY", "test-key")
    monkeypatch.setenv("OPENCX_API_URL", opencx_simulator.url)
    return opencx_simulator


@dataclass
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> Callable[[str], Ended]:
    """Runs a command in this process."""

    def run(typed: str) -> Ended:
        code = main(shlex.split(typed))
        return Ended(code, *capsys.readouterr())

    return run


@pytest.mark.parametrize("line", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_example_of_help_runs(
    line: str, simulator: Simulator, tmp_path: Path, run: Callable[[str], Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Spring sale", "Autumn sale"):
        simulator.add_agent(name=name)
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_STAGING", connection_json(simulator.url, "test-key"))
    (tmp_path / "fleets").mkdir()
    (tmp_path / "fleets" / "one.yaml").write_text("agents:\n  - name: ${NAME}\n")
    (tmp_path / "staging.env").write_text("# of staging\nNAME='Winter offer'\n")
    planned = "training plan training/" if "training apply" in line else "plan fleet.yaml"
    assert run(f"{planned} --out plan.json").code == 0
    command = re.sub(r"apply (\S+)", r"apply \1 --yes", line.removeprefix(PROGRAM)).split(" > ")[0]
    ended = run(command)
    assert ended.code == (2 if "--detailed-exitcode" in line else 0), ended.err
    assert "Traceback" not in ended.err


def test_simulate_runs_until_it_is_interrupted() -> None:
    [example] = [command.example for command in commands() if command.name == LONG_RUNNING]
    arguments = shlex.split(example.removeprefix(PROGRAM).replace("8010", "0"))
    command = [sys.executable, "-m", "airflow_provider_opencx", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert re.match(r"OpenCX simulator \(generation 2026\) on http://127", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


def test_validate_lists_every_problem_with_its_place(run: Callable[[str], Ended], tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "agents:\n  - name: A\n    langauge: en\n  - name: B\n    first_message: ${NO}\n"
    )
    table = run("validate bad.yaml fleet.yaml")
    assert table.code == 1
    assert re.search(r"bad.yaml +3 +5 +A +langauge", table.out)
    assert re.search(r"bad.yaml +5 +20 +B +first_message", table.out)
    assert table.err == "2 problems.\n"
    problems = json.loads(run("validate bad.yaml fleet.yaml -o json").out)
    assert [(each["severity"], each["line"], each["column"], each["field"]) for each in problems] == [
        ("error", 3, 5, "langauge"),
        ("error", 5, 20, "first_message"),
    ]
    assert yaml.safe_load(run("validate bad.yaml fleet.yaml -o yaml").out) == problems


def test_validate_lists_warnings_for_programs(run: Callable[[str], Ended], tmp_path: Path) -> None:
    (tmp_path / "null.yaml").write_text("agents:\n  - name: A\n    speed:\n")
    ended = run("validate null.yaml -o json")
    assert ended.code == 0
    assert [(each["severity"], each["line"]) for each in json.loads(ended.out)] == [("warning", 3)]


@pytest.mark.parametrize("output", ["table", "json", "yaml"])
def test_key_in_a_fleet_file_is_not_shown(
    output: str, run: Callable[[str], Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "a-key-of-production"
    monkeypatch.setenv("OPENCX_API_KEY", key)
    (tmp_path / "key.yaml").write_text(f"agents:\n  - name: ${{KEY}}\n    speed: ${{KEY}}\n    {key}: en\n")
    ended = run(f"validate key.yaml --var KEY={key} -o {output}")
    assert ended.code == 1
    assert key not in ended.out + ended.err
    problems = [] if output == "table" else yaml.safe_load(ended.out)
    assert [each["field"] for each in problems] == ([] if output == "table" else ["speed", "***"])


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("plan fleet.yaml --detailed-exitcode >&-", 2),
        ("plan fleet.yaml --detailed-exitcode -o json 2>&-", 2),
        ("apply fleet.yaml <&-", 1),
        ("apply fleet.yaml --yes <&- >&- 2>&-", 0),
    ],
)
def test_closed_streams_change_no_exit_code(typed: str, code: int, simulator: Simulator) -> None:
    ended = subprocess.run(
        f"{shlex.quote(sys.executable)} -m airflow_provider_opencx {typed}",
        shell=True,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, len(simulator.agents())) == (code, 0 if code else 2)
    assert "AttributeError" not in ended.stderr
    if "json" in typed:
        assert json.loads(ended.stdout)["changes"] == 2


VARIABLES = {
    "--var": ("", "--var NAME=Typed", "Typed"),
    "a value with an equals sign": ("", "--var NAME=a=b", "a=b"),
    "lines": ("# a comment\n\nexport NAME = 'In quotes'\n", "--vars-file vars.env", "In quotes"),
    "yaml": ("NAME: no\n", "--vars-file vars.yaml", "no"),
    "a number in yaml": ("NAME: 007\n", "--vars-file vars.yaml", "007"),
    "json": ('{"NAME": 1.50}', "--vars-file vars.json", "1.50"),
    "--var goes over a file": ("NAME: of file\n", "--vars-file vars.yaml --var NAME=Typed", "Typed"),
}


@pytest.mark.parametrize(("text", "typed", "name"), VARIABLES.values(), ids=VARIABLES.keys())
def test_variables_are_filled(text: str, typed: str, name: str, run: Callable[[str], Ended], tmp_path: Path) -> None:
    (tmp_path / "named.yaml").write_text("agents:\n  - name: ${NAME}\n")
    if file := re.search(r"vars\.\w+", typed):
        (tmp_path / file[0]).write_text(text)
    planned = json.loads(run(f"plan named.yaml -o json {typed}").out)
    assert [agent["name"] for agent in planned["agents"]] == [name]


WRONG_VARIABLES = {
    "none": ("", "", "there is no variable NAME"),
    "unused": ("", "--var NAME=A --var NMAE=B", "--var: no file uses 'NMAE'"),
    "no value": ("", "--var NAME", "--var: must be NAME=VALUE"),
    "no file": ("", "--vars-file gone.env", "--vars-file 'gone.env': cannot be read: No such file"),
    "a line without a value": ("NAME=A\ns3cret\n", "--vars-file vars.env", "line 2: must be NAME=VALUE"),
    "no mapping": ("- s3cret\n", "--vars-file vars.yaml", "must be a mapping of names to texts"),
    "a list as value": ("NAME: [s3cret]\n", "--vars-file vars.yaml", "must be a mapping of names to texts"),
    "a boolean in json": ('{"NAME": true}', "--vars-file vars.json", "must be a mapping of names to texts"),
    "no json": ('{"NAME": s3cret', "--vars-file vars.json", "is not JSON"),
}


@pytest.mark.parametrize(("text", "typed", "says"), WRONG_VARIABLES.values(), ids=WRONG_VARIABLES.keys())
def test_wrong_variable_is_an_error(
    text: str, typed: str, says: str, run: Callable[[str], Ended], tmp_path: Path
) -> None:
    (tmp_path / "named.yaml").write_text("agents:\n  - name: ${NAME}\n")
    if file := re.search(r"vars\.\w+", typed):
        (tmp_path / file[0]).write_text(text)
    ended = run(f"validate named.yaml {typed}")
    assert ended.code == 1
    assert says in ended.out + ended.err
    assert "s3cret" not in ended.out + ended.err


def test_plan_and_apply_agree_on_what_differs(
    run: Callable[[str], Ended], simulator: Simulator, tmp_path: Path
) -> None:
    planned = run("plan fleet.yaml --detailed-exitcode")
    assert (planned.code, simulator.writes) == (2, [])
    assert "“Spring emea” will be created" in planned.out
    applied = run("apply fleet.yaml --yes")
    assert applied.code == 0
    assert re.search(r"^Spring emea +pa_000001 +\S+ +create$", applied.out, re.M)
    assert run("plan fleet.yaml --detailed-exitcode").code == 0
    again = run("apply fleet.yaml")
    assert (again.code, len(simulator.writes)) == (0, 2)
    assert "Nothing to do." in again.err
    (tmp_path / "fleet.yaml").write_text(FLEET.replace("Ann", "Eve"))
    edited = run("plan fleet.yaml --detailed-exitcode")
    assert edited.code == 2
    assert "removed: “This is Ann.”\n        added: “This is Eve.”" in edited.out
    agents = run("apply fleet.yaml --yes -o json")
    assert json.loads(agents.out)[0]["first_message"] == "Hello there.\nThis is Eve.\n"
    assert run("plan fleet.yaml --detailed-exitcode").code == 0


def test_apply_without_a_terminal_sends_nothing_unasked(run: Callable[[str], Ended], simulator: Simulator) -> None:
    ended = run("apply fleet.yaml")
    assert (ended.code, simulator.writes) == (1, [])
    assert "--plan PLAN.json" in ended.err
    assert "--yes" in ended.err


def test_apply_of_a_plan_does_what_was_approved_and_nothing_else(
    run: Callable[[str], Ended], simulator: Simulator, tmp_path: Path
) -> None:
    assert run("plan fleet.yaml --out plan.json").code == 0
    (tmp_path / "fleet.yaml").write_text(FLEET.replace("Ann", "Eve"))
    changed = run("apply fleet.yaml --plan plan.json")
    assert (changed.code, simulator.writes) == (1, [])
    assert "Nothing was sent" in changed.err
    (tmp_path / "fleet.yaml").write_text(FLEET)
    assert run("apply fleet.yaml --plan plan.json").code == 0
    assert len(simulator.writes) == 2
    assert run("apply fleet.yaml --plan plan.json").code == 0
    assert len(simulator.writes) == 2


def test_refusals_speak_of_the_key_and_not_of_a_dag(
    run: Callable[[str], Ended], simulator: Simulator, tmp_path: Path
) -> None:
    agent = simulator.add_agent("autumn")
    near = run("plan fleet.yaml")
    simulator.remove_agent(str(agent["id"]))
    guarded = run("plan fleet.yaml --max-creates 1")
    simulator.add_agent("Other")
    assert run("plan fleet.yaml --out plan.json").code == 0
    (tmp_path / "fleet.yaml").write_text(FLEET.replace("Ann", "Eve"))
    changed = run("apply fleet.yaml --plan plan.json")
    assert [ended.code for ended in (near, guarded, changed)] == [1, 1, 1]
    assert "if another one is, allow it with allow_near_name." in near.err
    assert re.search(r"in an organization of unknown id \(connection 'OPENCX_API_KEY \w{8}', http", guarded.err)
    assert "Make a new plan, and have it approved" in changed.err
    assert simulator.writes == []


@pytest.mark.parametrize("text", [None, "", "[1]", '{"agents": 1}'], ids=repr)
def test_file_that_is_no_plan_is_refused(
    text: str | None, run: Callable[[str], Ended], simulator: Simulator, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "plan.json").write_text(text)
    ended = run("apply fleet.yaml --plan plan.json")
    assert (ended.code, simulator.writes) == (1, [])
    assert "Error: --plan 'plan.json': " in ended.err


@pytest.mark.parametrize("command", ["plan", "apply --yes"])
@pytest.mark.parametrize("guard", ["--max-creates 1", "--expected-org-id other"])
def test_plan_over_a_guard_is_shown_and_refused(
    guard: str, command: str, run: Callable[[str], Ended], simulator: Simulator, tmp_path: Path
) -> None:
    ended = run(f"{command} fleet.yaml {guard}{' --out plan.json' if command == 'plan' else ''}")
    assert (ended.code, simulator.writes) == (1, [])
    assert "“Spring emea” will be created" in ended.out
    assert "Nothing was sent" in ended.err
    assert not (tmp_path / "plan.json").exists()


def test_apply_that_failed_in_part_says_so_and_the_next_does_what_is_left(
    run: Callable[[str], Ended], simulator: Simulator
) -> None:
    simulator.fail("createPhoneAgent", ErrorResponse(400))
    failed = run("apply fleet.yaml --yes")
    assert failed.code == 1
    assert "1 of 2 agents are not as declared" in failed.err
    assert "Run the command again: it does what is left." in failed.err
    assert run("apply fleet.yaml --yes").code == 0
    assert sorted(str(agent["name"]) for agent in simulator.agents()) == ["Autumn", "Spring emea"]


def test_agents_are_chosen_by_a_glob(run: Callable[[str], Ended]) -> None:
    run("apply fleet.yaml --yes")
    assert [each["name"] for each in json.loads(run("agents -o json").out)] == ["Spring emea", "Autumn"]
    assert [each["name"] for each in json.loads(run("agents -o json --names 'Spr*'").out)] == ["Spring emea"]
    assert json.loads(run("agents -o json --names ' Spring emea '").out)  # as in ignore: and in export
    assert json.loads(run("agents -o json --names 'spr*'").out) == []


def test_agents_are_chosen_by_several_globs(run: Callable[[str], Ended]) -> None:
    run("apply fleet.yaml --yes")
    chosen = json.loads(run("agents -o json --names 'Spr*' --names Autumn --names 'Winter *'").out)
    assert [each["name"] for each in chosen] == ["Spring emea", "Autumn"]


class KillTheProgram(Fault):
    """Create the agent, and kill the program before it reads of it."""

    def __init__(self) -> None:
        self.program: subprocess.Popen[str] | None = None

    async def respond(self, call: Call, handle: Handle) -> Response:
        response = handle(call)
        assert self.program is not None
        self.program.send_signal(signal.SIGKILL)
        self.program.wait()
        return response


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_opencx", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("arguments", [(), ("--plan", "plan.json")], ids=["yes", "plan"])
def test_apply_after_a_killed_one_creates_nothing_twice(
    arguments: tuple[str, ...], run: Callable[[str], Ended], simulator: Simulator
) -> None:
    run("plan fleet.yaml --out plan.json")
    kill = KillTheProgram()
    simulator.fail("createPhoneAgent", kill)
    kill.program = start("apply", "fleet.yaml", *(arguments or ("--yes",)))
    kill.program.communicate(timeout=60)
    assert kill.program.returncode == -signal.SIGKILL
    assert len(simulator.agents()) == 1

    simulator.fail("listPhoneAgents", StaleList(3600), times=3)  # the list is behind
    second = start("apply", "fleet.yaml", *(arguments or ("--yes",)))
    _, messages = second.communicate(timeout=120)
    assert second.returncode == 0, messages
    assert "Reading the list until it shows phone agent 'Spring emea'" in messages
    assert sorted(str(agent["name"]) for agent in simulator.agents()) == ["Autumn", "Spring emea"]
    assert simulator.count("createPhoneAgent") == 2


def test_interrupted_apply_says_what_is_next(simulator: Simulator) -> None:
    simulator.fail("createPhoneAgent", HandleLate(20))
    process = start("apply", "fleet.yaml", "--yes")
    while not simulator.count("createPhoneAgent"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Run the command again: it does what is left, and creates nothing twice.\nInterrupted.\n" in messages
    assert "Traceback" not in messages


@pytest.mark.parametrize("arguments", [["agents", "-o", "json"], ["plan", "fleet.yaml"], ["voices"]], ids=" ".join)
def test_closed_pipe_is_no_traceback(arguments: list[str], simulator: Simulator) -> None:
    process = start(*arguments)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    messages = process.stderr.read()
    assert (process.wait(), messages) == (141, f"Using the key in OPENCX_API_KEY, at {simulator.url}.\n")


LIMIT = 60
"""Seconds after which a terminal should have shown something more."""


class Terminal:
    """A command in a terminal.

    :param arguments: what is typed after the program's name.
    """

    def __init__(self, *arguments: str) -> None:
        self.shown = ""
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLUMNS="90", LINES="40")
            os.environ.pop("NO_COLOR", None)
            os.execv(sys.executable, [sys.executable, "-m", "airflow_provider_opencx", *arguments])

    def read_until(self, text: str | None) -> None:
        """Read what is shown until a text, or the end of the command."""
        while text is None or text not in self.shown:
            assert self._has_more(), f"nothing more is shown after:\n{self.shown}"
            try:
                read = os.read(self._file, 65536)
            except OSError:  # the other end is closed
                read = b""
            if not read:
                assert text is None, self.shown
                return
            self.shown += read.decode()

    def _has_more(self) -> bool:
        # select() would take no descriptor past 1,023, and a long run of tests has more files open.
        with selectors.DefaultSelector() as selector:
            selector.register(self._file, selectors.EVENT_READ)
            return bool(selector.select(LIMIT))

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._file, text.encode())

    def end(self) -> int:
        """Wait for the end, and return the exit code."""
        self.read_until(None)
        os.close(self._file)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.parametrize(
    ("typed", "code", "writes"),
    [("yes\n", 0, 2), ("no\n", 1, 0), ("y\n", 1, 0), ("\n", 1, 0), ("\x04", 1, 0), ("\x03", 130, 0)],
    ids=["yes", "no", "y", "return", "end", "Ctrl-C"],
)
def test_apply_asks_on_a_terminal(typed: str, code: int, writes: int, simulator: Simulator) -> None:
    terminal = Terminal("apply", "fleet.yaml")
    terminal.read_until("Apply these 2 changes? Type yes: ")
    assert "\x1b[1m“Spring emea” will be created\x1b[0m" in terminal.shown
    terminal.type(typed)
    assert terminal.end() == code
    assert len(simulator.writes) == writes
    assert "Traceback" not in terminal.shown
    assert ("2/2" in terminal.shown and "at most 90 requests a minute" in terminal.shown) == (code == 0)


def test_plan_on_a_terminal_has_lines_in_green_and_red(
    run: Callable[[str], Ended], simulator: Simulator, tmp_path: Path
) -> None:
    run("apply fleet.yaml --yes")
    (tmp_path / "fleet.yaml").write_text(FLEET.replace("Ann", "Eve"))
    terminal = Terminal("plan", "fleet.yaml")
    assert terminal.end() == 0
    assert "\x1b[31m      - “This is Ann.”\x1b[0m" in terminal.shown
    assert "\x1b[32m      + “This is Eve.”\x1b[0m" in terminal.shown


def test_plan_for_an_organization_without_agents_is_applied_with_its_key_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[[str], Ended]
) -> None:
    with Simulator(api_keys=["key-of-one", "key-of-another"], requests_per_minute=None) as two:
        monkeypatch.setenv("OPENCX_API_URL", two.url)
        monkeypatch.setenv("OPENCX_API_KEY", "key-of-one")
        assert run("plan fleet.yaml --out plan.json").code == 0
        assert "key-of" not in (tmp_path / "plan.json").read_text()
        monkeypatch.setenv("OPENCX_API_KEY", "key-of-another")
        refused = run("apply fleet.yaml --plan plan.json")
        assert (refused.code, "the plan was approved for" in refused.err, two.writes) == (1, True, [])
        monkeypatch.setenv("OPENCX_API_KEY", "key-of-one")
        assert run("apply fleet.yaml --plan plan.json").code == 0
        assert len(two.agents("key-of-one")) == 2


def test_validate_says_for_programs_what_was_read_and_the_remedy(run: Callable[[str], Ended], tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("agents:\n  - name: A\n    frist_message: Hi\ndry_run: true\n")
    field, key = json.loads(run("validate wrong.yaml -o json").out)
    assert (field["line"], field["column"], field["agent"], field["field"]) == (3, 5, "A", "frist_message")
    assert (field["message"], field["read"]) == ("is not a field of a declaration", "frist_message")
    assert field["remedy"].startswith("did you mean first_message?")
    assert (key["line"], key["message"]) == (4, "dry_run is not a key of a fleet file")
    assert key["remedy"].startswith("a file has agents, defaults, variables, ignore")

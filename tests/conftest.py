"""Gives the tests an Airflow of their own, so that no test reads or changes the caller's Airflow."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow_standalone import RunningAirflow, connection_json, postgres_settings
from debian_packages import find, how_to_get
from servers import running_postgres
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Before anything imports Airflow, which reads its settings once.
for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="opencx-tests-")
# Where the provider keeps locks: those of other tests must not hold up these. Programs that a test drives need a short
# path (a browser's socket), which other users can enter (a database server does not run as root).
TEMPORARY = Path(tempfile.mkdtemp(prefix="opencx-"))
TEMPORARY.chmod(0o1777)
os.environ["TMPDIR"] = tempfile.tempdir = str(TEMPORARY)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__TEST_CONNECTION"] = "Enabled"
os.environ["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] = "False"


# A shell lets its background jobs ignore Ctrl-C, and what they start does so as well; some tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


SHORT_PAUSES = SimpleNamespace(
    sleep=lambda seconds: time.sleep(min(seconds, 0.01)), monotonic=time.monotonic, time=time.time
)
"""Stands for the module ``time`` where the provider waits for a list that lags, or reads one again."""

PAUSING = (
    *(f"airflow_provider_opencx.reconciliation.{name}" for name in ("creates", "listing", "progress")),
    *(f"airflow_provider_opencx.phone_agents.{name}" for name in ("export.reading", "resolution")),
)
"""The modules that wait so. Their pauses are seconds, which every test that creates something would take."""


WHOLE_AIRFLOW = (("tests/system",), ("tests/browser", "tests/executors"))
"""Groups of tests that start a scheduler, a triggerer and more. One after another in a group, each about as long."""

COMMANDS_OF_AIRFLOW = ("tests/system/test_command_line.py", "tests/system/test_opencx_commands.py")
"""These start a process for each command, and no whole Airflow."""


class FewWholeAirflows(LoadScopeScheduling):
    """Runs tests side by side, and those of a group that start a whole Airflow one after another among them."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the name of the tests that must run after one another in one process."""
        if nodeid.startswith(COMMANDS_OF_AIRFLOW):
            return nodeid
        return next((" ".join(group) for group in WHOLE_AIRFLOW if nodeid.startswith(group)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FewWholeAirflows:
    """Tell pytest-xdist which process runs which test."""
    return FewWholeAirflows(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a test that failed what its Airflow runs and logged: both are gone when the session ends."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for running in {value for value in item.funcargs.values() if isinstance(value, RunningAirflow)}:
            report.sections.append(("Airflow", running.last_words()))
    return report


@pytest.fixture(scope="session", autouse=True)
def airflow_home() -> Iterator[Path]:
    """The AIRFLOW_HOME of this test session."""
    home = Path(os.environ["AIRFLOW_HOME"])
    yield home
    for directory in (home, TEMPORARY):
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_database(airflow_home: Path) -> None:
    """A database in the AIRFLOW_HOME of this test session."""
    airflow = Path(sys.executable).with_name("airflow")
    subprocess.run([airflow, "db", "migrate"], check=True, capture_output=True)
    (airflow_home / "dags").mkdir(exist_ok=True)

    from airflow.dag_processing.bundles.manager import DagBundlesManager

    DagBundlesManager().sync_bundles_to_db()


@pytest.fixture(scope="session")
def airflow_version() -> tuple[int, ...]:
    """The major and the minor version of Airflow."""
    from airflow import __version__

    return tuple(int(part) for part in __version__.split(".")[:2])


@pytest.fixture(scope="session")
def read_dags(airflow_database: None, airflow_version: tuple[int, ...]) -> Callable[[Path], Any]:
    """Reads a file or a folder of Dags as Airflow does."""
    return import_module(
        "airflow.dag_processing.dagbag" if airflow_version >= (3, 2) else "airflow.models.dagbag"
    ).DagBag


@pytest.fixture(scope="session")
def store_dag(
    read_dags: Callable[[Path], Any], airflow_home: Path, airflow_version: tuple[int, ...]
) -> Callable[[Any], None]:
    """Stores a Dag as Airflow's Dag processor does, which ``dag.test()`` expects."""

    def store(dag: Any) -> None:
        bag = read_dags(airflow_home / "dags")
        bag.bag_dag(dag)
        if airflow_version >= (3, 1):
            import_module(type(bag).__module__).sync_bag_to_db(bag, "dags-folder", None)
        else:
            dag.relative_fileloc = dag.relative_fileloc or Path(dag.fileloc).name
            bag.sync_to_db("dags-folder", None)

    return store


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause before a refused read is sent again, and short ones for lists; a program that a test starts makes them.

    A test of the pauses themselves puts a clock of its own in their place.
    """
    monkeypatch.setattr("airflow_provider_opencx.client.client.READ_AGAIN_AFTER", 0.0)
    for module in PAUSING:
        monkeypatch.setattr(f"{module}.time", SHORT_PAUSES)


@pytest.fixture(scope="session")
def forget_creates() -> Callable[[], None]:
    """Lets no later task look for what was created so far."""
    from airflow_provider_opencx.client.coordination import DIRECTORY
    from airflow_provider_opencx.client.locks import forget_intents

    def forget_creates() -> None:
        forget_intents()
        for recorded in (TEMPORARY / DIRECTORY).glob("*.intent"):
            recorded.unlink()

    return forget_creates


@pytest.fixture(autouse=True)
def nothing_created_before(forget_creates: Callable[[], None]) -> None:
    """What other tests have created is not looked for, although the port of their service may be that of another."""
    forget_creates()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a base URL and a key behind the default connection, whose retries are sent soon."""

    def connect(base_url: str, api_key: str) -> None:
        connection = connection_json(base_url, api_key, timeout=5, requests_per_minute=100_000)
        monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection)
        monkeypatch.setattr("httpx_retries.Retry.backoff_strategy", lambda self: 0.01)

    return connect


@pytest.fixture
def set_extra(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Changes extras of the default connection, as somebody in Airflow's UI does."""

    def set_extra(**extras: object) -> None:
        connection = json.loads(os.environ["AIRFLOW_CONN_OPENCX_DEFAULT"])
        connection["extra"] |= extras
        monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", json.dumps(connection))

    return set_extra


@pytest.fixture(scope="session")
def program() -> Callable[[str], Path]:
    """Finds a program that a test drives; without it the test is skipped, and in CI, where nothing is, it fails."""

    def program(name: str) -> Path:
        if found := find(name):
            return found
        if os.environ.get("CI"):
            pytest.fail(how_to_get(name))
        pytest.skip(how_to_get(name))

    return program


@pytest.fixture(scope="session")
def new_database() -> Iterator[Callable[[], dict[str, str]]]:
    """Returns the settings of a database for a whole Airflow, each time of an empty one.

    It is one of PostgreSQL, as in production. Where no server is installed there are no settings, and Airflow makes a
    file of SQLite, whose one writer at a time makes it slow, and now and then refuses what a test does.
    """
    server = find("postgres")
    if server is None:
        yield dict
        return
    with running_postgres(server) as create:
        yield lambda: postgres_settings(create())


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of an S3, over a socket, with a bucket."""
    from moto.server import ThreadedMotoServer
    from s3fs import S3FileSystem

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    S3FileSystem(key="key", secret="s3cret", endpoint_url=url).mkdir("bucket")
    yield url
    server.stop()


@pytest.fixture
def s3(s3_server: str) -> str:
    """A folder of its own in an S3, as a path of Airflow's object storage.

    Airflow's provider for Amazon makes the same file system from a connection.
    """
    from airflow.sdk.io.store import attach
    from s3fs import S3FileSystem

    storage = S3FileSystem(key="key", secret="s3cret", endpoint_url=s3_server)
    attach("s3", "s3_default", fs=storage)
    return f"s3://s3_default@bucket/{uuid.uuid4().hex}"

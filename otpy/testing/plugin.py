"""The pytest plugin: a test as a process of a node of its own.

| fixture                 | ExUnit                                             |
|-------------------------|----------------------------------------------------|
| ``node``                | the test's process, on a fresh node                |
| ``start_supervised``    | ``start_supervised!``                              |
| ``start_link_supervised`` | ``start_link_supervised!``                       |
| ``stop_supervised``     | ``stop_supervised!``                               |
| ``on_exit``             | ``on_exit``                                        |
| ``capture_reports``     | the structured reports, as ``capture_log`` the text |
| ``cluster``             | ``cluster(3)``: nodes as OS processes, OTP's ``peer`` |

With any of the first five the test itself is a process, so that ``process.receive`` and
``gen_server.call`` work in it. It may be a coroutine of pytest-asyncio or of anyio with asyncio,
as its fixtures may: they are that same process, and what waits is awaited there:
``await aio.call(...)``, ``await start_supervised(...)``, and the assertions of
``otpy.testing.aio``. The ini option
``otpy_shutdown_timeout`` says how many seconds the supervised children have to stop. Threads
and processes that are left running fail the test; ``@pytest.mark.otpy_leaves_processes``, or
the ini option of that name, allows processes.
"""

import inspect
import logging
from collections.abc import Callable, Generator, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import pytest

from otpy.testing.logs import Reports as Reports
from otpy.testing.logs import listening

if TYPE_CHECKING:
    from otpy.runtime.node import Node
    from otpy.testing._fork_server import ForkServer
    from otpy.testing.case import Case
    from otpy.testing.cluster import Cluster

CASE: "pytest.StashKey[Case]" = pytest.StashKey()
MARKER = "otpy_leaves_processes"
CLUSTERS: "pytest.StashKey[list[Cluster]]" = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The ini options."""
    parser.addini(
        "otpy_shutdown_timeout",
        "seconds for the children of start_supervised to stop",
        default="10",
    )
    parser.addini(
        MARKER,
        "whether processes that a test leaves running on its node are no failure",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    text = f"{MARKER}: processes that the test leaves running on its node are no failure"
    config.addinivalue_line("markers", text)


@pytest.fixture
def otpy_case(request: pytest.FixtureRequest) -> Iterator["Case"]:
    """The test as ``otpy.testing.case.Case``: what the other fixtures are made of."""
    from otpy.testing.case import Case

    item: pytest.Item = request.node
    leaves = bool(item.get_closest_marker(MARKER) or request.config.getini(MARKER))
    case = Case(float(request.config.getini("otpy_shutdown_timeout")), leaves)
    item.stash[CASE] = case
    failures = ["the test's end was not reached"]
    try:
        yield case
    finally:
        failures = list(case.close())
    if failures:
        pytest.fail("\n".join(failures), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """A test whose process was killed says so, instead of the exit that told it."""
    case = pyfuncitem.stash.get(CASE, None)
    if case is None:
        return (yield)
    from otpy.terms.errors import ProcessExit
    from otpy.testing.case_process import Exited

    try:
        return (yield)
    except (ProcessExit, Exited):
        if case.test.alive:
            raise
    pytest.fail(case.how_it_ended(), pytrace=False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """A test that is a coroutine runs as the test's process."""
    if not (isinstance(item, pytest.Function) and CASE in item.stash):
        return (yield)
    from otpy.testing.case_process import as_the_test

    plain = item.obj
    item.obj = as_the_test(plain)
    try:
        return (yield)
    finally:
        item.obj = plain


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """A fixture that is a coroutine runs as the process of the test that is being set up."""
    plain = fixturedef.func
    is_async = inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain)
    if not is_async or "otpy_case" not in request.fixturenames:
        return (yield)
    from otpy.testing.case_process import as_the_test

    changed: Any = fixturedef  # the other plugins exchange its function, too
    changed.func = as_the_test(plain)
    try:
        return (yield)
    finally:
        changed.func = plain


@pytest.fixture
def node(otpy_case: "Case") -> "Node":
    """A fresh node; the test is one of its processes. What is left running fails the test.

    That is threads, and processes that neither a link nor ``start_supervised`` ends with it; the
    marker ``otpy_leaves_processes`` (or the ini option of that name) allows the latter.
    """
    return otpy_case.node


@pytest.fixture
def start_supervised(otpy_case: "Case") -> Callable[..., Any]:
    """``start_supervised(child)`` starts a child under the test's own supervisor; its pid.

    In a coroutine it is ``await start_supervised(child)``, as with the two below.
    """
    return otpy_case.start_supervised


@pytest.fixture
def start_link_supervised(otpy_case: "Case") -> Callable[..., Any]:
    """As ``start_supervised``, and the child is linked to the test."""
    return otpy_case.start_link_supervised


@pytest.fixture
def stop_supervised(otpy_case: "Case") -> Callable[[Any], Any]:
    """``stop_supervised(id)`` stops a child of ``start_supervised``."""
    return otpy_case.stop_supervised


@pytest.fixture
def on_exit(otpy_case: "Case") -> Callable[..., None]:
    """``on_exit(callback)`` runs the callback when the test's process has ended."""
    return otpy_case.on_exit


@pytest.fixture
def capture_reports() -> Iterator[Reports]:
    """What otpy reported while the test ran."""
    handler = Reports()
    with listening("otpy", handler, logging.INFO):
        yield handler


@pytest.fixture(scope="session")
def otpy_fork_server() -> Iterator["ForkServer"]:
    """What starts the nodes of all clusters of a run."""
    from otpy.testing._fork_server import ForkServer

    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def cluster(
    request: pytest.FixtureRequest,
    otpy_fork_server: "ForkServer",
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator["Callable[..., Cluster]"]:
    """``cluster(3)`` starts an ``otpy.testing.Cluster``, which ends with the test.

    It takes what ``Cluster`` takes. Each node has the test's module loaded from the start. Where
    ``network="netns"`` is not possible the test is skipped. The logs are shown if it fails.
    """
    from otpy.testing._namespaces import NoNamespaces
    from otpy.testing.cluster import Cluster

    made: list[Cluster] = []
    request.node.stash[CLUSTERS] = made

    def make(nodes: int = 3, **options: Any) -> Cluster:
        module = cast(ModuleType, request.module)  # pyright: ignore[reportUnknownMemberType]
        options.setdefault("modules", (module,))
        options.setdefault("folder", tmp_path_factory.mktemp("cluster"))
        one = Cluster(nodes, forks=otpy_fork_server, **options)
        made.append(one)
        try:
            return one.open()
        except NoNamespaces as error:
            pytest.skip(str(error))

    yield make
    for one in made:
        one.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what the nodes of its clusters said."""
    report = yield
    clusters = item.stash.get(CLUSTERS, None)
    if report.failed and clusters is not None:
        for number, one in enumerate(clusters, 1):
            report.sections.append((f"Log of cluster {number}", one.story()))
    return report

"""Applications for the tests: each tells the process in its arguments what it is asked."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from otpy import (
    Application,
    ApplicationError,
    ApplicationSpec,
    GenServer,
    Ok,
    Pid,
    StartError,
    application,
    gen_server,
    process,
    self_pid,
    supervisor,
)


class Worker(GenServer[Any]):
    """A child that says when it is told to stop."""

    def init(self, arg: Any) -> Any:
        process.flag(trap_exit=True)
        return Ok(arg)

    def handle_cast(self, request: Any, state: Any) -> Any:
        process.exit(request)

    def terminate(self, reason: Any, state: Any) -> None:
        if state is not None:
            process.send(state, ("worker", reason))


class Top(GenServer[Any]):
    """A top process that ends with what it is sent."""

    def init(self, arg: Any) -> Any:
        return Ok(arg)

    def handle_info(self, message: Any, state: Any) -> Any:
        process.exit(message)


class Told(Application):
    """Tells the process in its arguments of every callback; its state is the arguments."""

    def start(self, type: str, args: Any, /) -> Any:
        process.send(args, ("start", type))
        boss = supervisor.start_link([(Worker, args)], strategy="one_for_one")
        return boss, args

    def start_phase(self, phase: str, type: str, args: Any, /) -> None:
        process.send(args, ("start_phase", phase, type))

    def prep_stop(self, state: Any, /) -> Any:
        process.send(state, "prep_stop")
        return state

    def stop(self, state: Any, /) -> None:
        process.send(state, "stop")


class Bare(Application):
    """Its top process is registered under its argument and ends with what it is sent."""

    def start(self, type: str, args: Any, /) -> Any:
        return gen_server.start_link(Top, None, name=args)


class Calls(Application):
    """Its start is the function in its arguments."""

    def start(self, type: str, args: Any, /) -> Any:
        return args()


def top() -> Pid:
    """A top process, for ``Calls``."""
    return gen_server.start_link(Top, None)


def refuses() -> None:
    """A start that fails, for ``Calls``."""
    raise StartError("bad")


def load(name: str, mod: Any = None, *applications: str, **more: Any) -> None:
    """Load an application of a few words."""
    application.load(ApplicationSpec(name, mod=mod, applications=applications, **more))


def names() -> list[str]:
    """Those that run, the first first."""
    return [row.name for row in reversed(application.started_applications())]


def told(count: int) -> list[Any]:
    """The next messages of this process."""
    return [process.receive(timeout=5) for _ in range(count)]


def quiet() -> None:
    """Nothing else has come."""
    process.send(self_pid(), "quiet")
    assert told(1) == ["quiet"]


@contextmanager
def refused(reason: Any) -> Generator[pytest.ExceptionInfo[ApplicationError], None, None]:
    """The block raises ``ApplicationError`` with this reason."""
    with pytest.raises(ApplicationError) as caught:
        yield caught
    assert caught.value.reason == reason

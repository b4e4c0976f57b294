"""``sys.change_code`` of a GenServer (SYS-12)."""

from typing import Any

import pytest

from otpy import (
    BadArgument,
    CallExit,
    Ok,
    Reply,
    Stop,
    gen_server,
    sys,
)
from tests.conformance.conftest import Runner
from tests.conformance.servers import (
    Server,
    async_server,
    kind,
)


class Newer(Server):
    """Keeps its state in a pair, with a number from outside."""

    def code_change(self, old_vsn: Any, state: Any, extra: Any) -> Any:
        match extra:
            case "refuse":
                return Stop("not now")
            case "raise":
                raise ValueError(f"from {old_vsn}")
            case "bad":
                return state
            case _:
                return Ok((state, old_vsn, extra))

    def handle_call(self, request: Any, from_: Any, state: Any) -> Any:
        return Reply(("new", request, state))


def test_sys_12_code_changes_while_suspended(run: Runner) -> None:
    """change_code only when suspended; failing code_change returns {error, ..} and keeps old
    state."""

    def body() -> None:
        pid = gen_server.start(kind(run), 1)

        def refused(extra: Any, module: type = Newer) -> Any:
            with pytest.raises(CallExit) as ended:
                sys.change_code(pid, module, "1.0", extra)
            return ended.value.reason

        assert refused(2) == ("unknown_system_msg", ("change_code", Newer, "1.0", 2))
        sys.suspend(pid)
        assert refused("refuse") == "not now"
        how, why = refused("raise")
        assert (how, why.type, why.message) == ("EXIT", "ValueError", "from 1.0")
        assert refused("bad") == ("bad_return_value", 1)
        assert refused(2, int)[0] == "bad_module"
        assert refused(2, async_server())[0] == "bad_module"
        assert sys.get_state(pid) == 1
        assert sys.get_status(pid)["module"] is kind(run)
        sys.change_code(pid, Newer, "1.0", 2)
        assert sys.get_state(pid) == (1, "1.0", 2)
        assert sys.get_status(pid)["module"] is Newer
        sys.change_code(pid, Server, None, None)  # without a code_change of its own
        sys.change_code(pid, Newer, "1.1", 3)
        sys.resume(pid)
        assert gen_server.call(pid, "x") == ("new", "x", ((1, "1.0", 2), "1.1", 3))
        with pytest.raises(BadArgument, match="the class that takes over"):
            sys.change_code(pid, "Newer", "1", 1)  # type: ignore[arg-type]  # wrong on purpose
        gen_server.stop(pid)

    run(body)


def test_sys_12_what_the_object_keeps_goes_over(run: Runner) -> None:
    """change_code: attributes of the old object are the new one's."""

    def body() -> None:
        pid = gen_server.start(Counting, 0)
        gen_server.call(pid, "x")
        sys.suspend(pid)
        sys.change_code(pid, CountingOn, None, None)
        sys.resume(pid)
        assert gen_server.call(pid, "x") == ("on", 2)
        gen_server.stop(pid)

    run(body)


class Counting(Server, green=True):
    """Counts in an attribute."""

    times = 0

    def handle_call(self, request: Any, from_: Any, state: Any) -> Any:
        self.times += 1
        return Reply(self.times)


class CountingOn(Counting):
    """Another version of it."""

    def handle_call(self, request: Any, from_: Any, state: Any) -> Any:
        self.times += 1
        return Reply(("on", self.times))

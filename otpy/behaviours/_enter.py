"""``gen_server.enter_loop``: a process that runs already becomes a GenServer."""

from typing import TYPE_CHECKING, Any, NoReturn

from otpy.behaviours._loop import Loop
from otpy.behaviours.results import UNSET
from otpy.runtime._current import waiter
from otpy.runtime.arguments import check_timeout
from otpy.runtime.names import where
from otpy.runtime.record import Process
from otpy.terms.errors import BadArgument, ProcessExit
from otpy.terms.names import Global, Via
from otpy.terms.pid import Pid

if TYPE_CHECKING:
    from otpy.behaviours.gen_server import GenServer


def enter_loop(
    module: "type[GenServer[Any]]",
    state: Any,
    *,
    name: Any = None,
    timeout: float | None = None,
    continue_: Any = UNSET,
) -> NoReturn:
    """Be a server of that class from here on, with that state: ``gen_server:enter_loop/3-5``.

    ``init`` is not called. A ``name`` must be the process's already, else it exits with
    "process_not_registered", "process_not_registered_globally" or
    ("process_not_registered_via", module). Raises ``BadArgument`` for a class of an async
    server outside a coroutine.
    """
    me = waiter("gen_server.enter_loop")
    if getattr(module, "is_async", False):
        raise BadArgument(
            f"enter_loop({module.__qualname__}): it is an async server; use await aio.enter_loop"
        )
    loop = entered(me, module, state, name, timeout)
    if continue_ is not UNSET:
        loop.go_on(continue_)
    me.serve(loop)
    me.raise_dead()


def entered(me: Process, module: Any, state: Any, name: Any, timeout: float | None) -> Loop:
    """The loop that the process enters."""
    from otpy.behaviours.gen_server import GenServer

    wanted: Any = module  # checked, a class loses the type of its servers' state
    if not (isinstance(module, type) and issubclass(module, GenServer)):
        raise BadArgument(f"enter_loop({module!r}): expected a GenServer class")
    check_timeout(timeout)
    _check_name(me, name)
    server: GenServer[Any] = wanted()
    loop = Loop(server, None, _parent(me), None, name)
    loop.proc = me
    loop.state = state
    loop.idle_timeout = timeout
    me.server = loop
    return loop


def _check_name(me: Process, name: Any) -> None:
    if name is None or where(me, name) == me.pid:
        return
    if isinstance(name, Global):
        raise ProcessExit("process_not_registered_globally")
    if isinstance(name, Via):
        raise ProcessExit(("process_not_registered_via", name.module))
    raise ProcessExit("process_not_registered")


def _parent(me: Process) -> Pid | None:
    if not me.ancestors:
        return None
    first = me.ancestors[0]
    return first if isinstance(first, Pid) else me.node.names.whereis(first)

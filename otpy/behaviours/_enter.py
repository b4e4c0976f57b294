"""``enter_loop``: a process that runs already becomes a GenServer, or of another behaviour."""

from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from otpy.behaviours._loop import BehaviourLoop, Loop
from otpy.behaviours._module import CallbackModule
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

L = TypeVar("L", bound=BehaviourLoop)


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
    check_not_async(module, "aio.enter_loop")
    loop = entered_server(me, module, state, name, timeout)
    if continue_ is not UNSET:
        loop.go_on(continue_)
    me.serve(loop)
    me.raise_dead()


def check_not_async(module: object, instead: str) -> None:
    """Raise ``BadArgument`` for a class with coroutines as callbacks; ``instead`` can do it."""
    if getattr(module, "is_async", False):
        raise BadArgument(f"enter_loop({module!r}): it has async callbacks; use await {instead}")


def entered_server(
    me: Process, module: "type[GenServer[Any]]", state: Any, name: Any, timeout: float | None
) -> Loop:
    """The loop of a GenServer that the process enters."""
    from otpy.behaviours.gen_server import GenServer

    given: object = module
    if not (isinstance(given, type) and issubclass(given, GenServer)):
        raise BadArgument(f"enter_loop({module!r}): expected a GenServer class")
    check_timeout(timeout)
    loop = entered(me, Loop, module, name)
    loop.state = state
    loop.idle_timeout = timeout
    return loop


def entered(me: Process, loop: type[L], module: type[CallbackModule], name: Any) -> L:
    """The loop that the process enters, which has no state yet; its name is checked."""
    _check_name(me, name)
    made = loop(module(), None, _parent(me), None, name)
    made.proc = me
    me.server = made
    return made


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

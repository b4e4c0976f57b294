"""The process of a node that runs what ``rpc.block_call`` asks for, one after the other."""

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

from otpy.behaviours import gen_server
from otpy.behaviours._own_server import OwnServer
from otpy.behaviours._remote import Outcome
from otpy.behaviours.results import Ok, Reply
from otpy.runtime._current import current
from otpy.runtime.body import reason_of
from otpy.runtime.process import await_coroutine
from otpy.terms.errors import AlreadyStarted
from otpy.terms.reasons import Crash
from otpy.terms.values import is_tuple

NAME = "rex"  # as in OTP


class Rex(OwnServer[None], green=False):
    """Runs functions."""

    title = "rex"

    def init(self, arg: Any, /) -> Any:
        return Ok(None)

    def handle_call(self, request: Any, from_: Any, state: None, /) -> Any:
        match request:
            case (fn, args) if callable(fn) and is_tuple(args):
                return Reply(_outcome(fn, args))
            case _:
                return super().handle_call(request, from_, state)


def _outcome(fn: Callable[..., Any], args: tuple[Any, ...]) -> Outcome:
    try:
        value = fn(*args)
        return "ok", await_coroutine(value) if inspect.iscoroutine(value) else value
    except BaseException as error:  # noqa: BLE001 - whatever it is goes to the asker
        current()  # raises where it is the server itself that was ended
        reason = reason_of(error)
        return ("error", reason) if isinstance(reason, Crash) else ("exit", ("exception", reason))


def in_turn(fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Let the node's process run it when its turn comes; the outcome."""
    with contextlib.suppress(AlreadyStarted):
        gen_server.start(Rex, None, name=NAME)
    return gen_server.call(NAME, (fn, args), timeout=None)

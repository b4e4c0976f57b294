"""The servers that otpy itself runs for others: nothing that they are sent ends them.

Rules. A call that such a server does not know is refused, with ``CallExit(("unknown_call",
request))``; a cast and a message are logged. A reply that cannot go to the caller's node is
refused as well. Where OTP's server ends of it, its children and tables would end with it, because
of somebody else's mistake. A request is matched by ``told`` first, so that no comparison of a
user's own runs in the server.
"""

import logging
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from otpy.behaviours import gen_server
from otpy.behaviours._loop import answer
from otpy.behaviours.gen_server import GenServer
from otpy.behaviours.results import NoReply
from otpy.runtime._current import current
from otpy.runtime.mail import From
from otpy.terms.errors import NotSendable
from otpy.terms.values import is_tuple

S = TypeVar("S")
V = TypeVar("V")


class OwnServer(GenServer[S], kernel=True):
    """A server whose state others rely on."""

    refuses = True
    log: ClassVar[logging.Logger] = logging.getLogger("otpy.gen_server")
    title: ClassVar[str]

    def handle_call(self, request: Any, from_: From, state: S, /) -> Any:
        """Refuse what the server does not know."""
        self._log("call", request)
        return refuse(from_, ("unknown_call", request))

    def handle_cast(self, request: Any, state: S, /) -> Any:
        """Drop what the server does not know."""
        self._log("cast", request)

    def handle_info(self, message: Any, state: S, /) -> Any:
        """Drop what the server does not know."""
        self._log("message", message)

    def _log(self, kind: str, what: Any) -> None:
        me = current()
        self.log.error(
            "%s %r received unexpected %s: %r", self.title, me.name or me.pid, kind, what
        )


def refuse(from_: From, reason: Any) -> NoReply[Any]:
    """Let a call end with ``CallExit(reason)``: what ``handle_call`` returns then."""
    me = current()
    me.handling = None  # it is answered; the server's end concerns the caller no more
    answer(me, from_, False, reason)
    return NoReply()


def reply(from_: From, value: Any) -> None:
    """``gen_server.reply`` of such a server; one that cannot be sent is refused."""
    try:
        gen_server.reply(from_, value)
    except NotSendable as error:
        me = current()
        if me.deferred is not None:
            me.deferred.pop(from_.tag, None)
        answer(me, from_, False, ("not_sendable", str(error)))


def told(request: Any) -> tuple[Any, ...]:
    """A request as a tuple that begins with a str; an empty one if it is nothing like that."""
    if not _is_plain(request) or not is_tuple(request):
        return ()
    return request if request and type(request[0]) is str else ()


def _is_plain(value: object) -> bool:
    return type(value) is tuple  # one of a subclass has code of its own


def entry(table: Mapping[Any, V], key: Any) -> V | None:
    """What a table has under a key that anybody may have sent; None if it cannot be a key."""
    try:
        return table.get(key)
    except Exception:  # noqa: BLE001 - it has no hash, or one or a comparison of a user's own that raises
        return None

"""Requests that are answered by messages: what ``gen_server`` and ``erpc`` share of them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from otpy.runtime import awaiting
from otpy.runtime.process import scan
from otpy.runtime.record import Process
from otpy.terms.errors import BadArgument
from otpy.terms.pid import Pid, Ref

R = TypeVar("R")


class Request(Generic[R]):
    """Base of typed requests: ``class Get(Request[int])`` makes ``call(pid, Get())`` an int.

    One that has parts is a dataclass, or a msgspec ``Struct``, if it is to reach other nodes.
    """

    __slots__ = ()


# What a call may send without saying what it is answered with. Any other class of messages
# derives from Request: so a checker finds a message of casts that is called.
Untyped = (
    str | bytes | float | tuple[Any, ...] | list[Any] | dict[Any, Any] | set[Any] | frozenset[Any]
    | Enum | Pid | Ref | type | Callable[..., Any] | None
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RequestId(Generic[R]):
    """A request that was sent: OTP's ``request_id()``. ``to`` is whom it was sent to.

    Only the process that sent it can ask for the answer.
    """

    ref: Ref
    to: Any
    token: Ref | None = None


class RequestIds:
    """Requests by the labels they were given: OTP's ``request_id_collection()``.

    The functions change it and give it back, where OTP gives a new one.
    """

    __slots__ = ("by_ref",)

    def __init__(self) -> None:
        self.by_ref: dict[Ref, tuple[RequestId[Any], Any]] = {}

    def add(self, request: RequestId[Any], label: Any) -> None:
        """One more. Raises ``BadArgument`` if it is there already."""
        if request.ref in self.by_ref:
            raise BadArgument(f"reqids_add({request!r}): it is in the collection already")
        self.by_ref[request.ref] = (request, label)

    def __repr__(self) -> str:
        return f"<RequestIds: {len(self.by_ref)}>"


def reqids_new() -> RequestIds:
    """A collection without requests: ``gen_server:reqids_new/0``."""
    return RequestIds()


def reqids_add(request: RequestId[Any], label: Any, reqids: RequestIds) -> RequestIds:
    """Put a request into a collection, which is given back: ``gen_server:reqids_add/3``.

    Raises ``BadArgument`` if it is there already.
    """
    if not isinstance(request, RequestId):
        raise BadArgument(f"reqids_add({request!r}): expected what send_request gave")
    checked(reqids).add(request, label)
    return reqids


def reqids_size(reqids: RequestIds) -> int:
    """How many requests there are: ``gen_server:reqids_size/1``."""
    return len(checked(reqids).by_ref)


def reqids_to_list(reqids: RequestIds) -> list[tuple[RequestId[Any], Any]]:
    """``[(request, label), ...]`` in the order of adding: ``gen_server:reqids_to_list/1``."""
    return list(checked(reqids).by_ref.values())


def checked(reqids: object) -> RequestIds:
    """The collection; raises ``BadArgument`` if it is none."""
    if not isinstance(reqids, RequestIds):
        raise BadArgument(f"{reqids!r} is no collection of requests; expected reqids_new()")
    return reqids


class Asked:
    """A wait for the answer to a request, or to the first answered one of a collection.

    ``kinds``: the types of messages that are answers; each has a ``ref``. Raises
    ``BadArgument`` for what is neither.
    """

    def __init__(self, what: str, source: Any, kinds: tuple[type, ...], delete: bool) -> None:
        self.what = what
        self.kinds = kinds
        self.delete = delete
        self.seen = 0
        self.reqids = source if isinstance(source, RequestIds) else None
        self.entries: dict[Ref, tuple[RequestId[Any], Any]]
        if self.reqids is not None:
            self.entries = self.reqids.by_ref
        elif isinstance(source, RequestId):
            self.entries = {source.ref: (source, None)}
        else:
            raise BadArgument(
                f"{what}({source!r}): expected what send_request gave, or a collection of them"
            )

    @property
    def empty(self) -> bool:
        """Whether it is a collection without requests."""
        return not self.entries

    def is_answer(self, message: Any) -> bool:
        """Whether a message is an answer."""
        return isinstance(message, self.kinds) and message.ref in self.entries  # type: ignore[attr-defined]  # each kind has one

    def find(self, me: Process) -> Any:
        """Take an answer from the mailbox; None if none is there.

        Raises ``BadArgument`` if none can come: answered or given up before, or sent by
        another process.
        """
        waits = any(awaiting.out(me, ref) for ref in self.entries)
        found, message, self.seen = scan(me, self.seen, self.kinds, self.is_answer)
        if found:
            return message
        if not waits:
            told = ", ".join(repr(request) for request, _ in list(self.entries.values())[:3])
            raise BadArgument(
                f"{self.what}: no answer can come to {told}: it has been taken or given up, or "
                "another process sent the request"
            )
        return None

    def of(self, message: Any) -> tuple[RequestId[Any], Any]:
        """The request that a message answers, and its label; no longer in the collection."""
        request, label = self.entries[message.ref]
        if self.reqids is not None and self.delete:
            del self.reqids.by_ref[message.ref]
        return request, label

    def give_up(self, me: Process, forget: Callable[[Process, RequestId[Any]], None]) -> Any:
        """Ask for nothing any more; an answer that came in the same instant, or None."""
        for request, _ in self.entries.values():
            forget(me, request)
        found, message, _ = scan(me, 0, self.kinds, self.is_answer)
        if found and self.reqids is None:
            return message
        while found:
            found, _, _ = scan(me, 0, self.kinds, self.is_answer)
        return None

"""Assertions about messages and exits, as ExUnit has them.

What is expected is one or more types, or a value to be equal to; ``where=`` narrows it
down. A failure shows what was expected and what is in the mailbox.
"""

import inspect
from collections.abc import Callable
from typing import Any, Self

from otpy.runtime import process
from otpy.runtime._current import check_may_wait, current
from otpy.runtime.arguments import check_function
from otpy.terms.errors import BadArgument, CallExit, ProcessExit, ReceiveTimeout

WAIT = 0.1  # seconds, as ExUnit's
SHOWN = 10  # messages

Where = Callable[[Any], bool]


class Expected:
    """Which messages are meant."""

    def __init__(self, what: tuple[Any, ...], where: Where | None) -> None:
        kinds = tuple(one for one in what if isinstance(one, type))
        if not what and where is None:
            raise BadArgument("expected types, a value or where= to say which message is meant")
        if what and len(kinds) != len(what) and len(what) != 1:
            raise BadArgument(f"{what!r}: expected types, or one value")
        self.what = what
        self.kinds: tuple[type, ...] = kinds
        self.where = where

    def matches(self, message: Any) -> bool:
        """Whether a message is one of them."""
        if self.kinds:
            same = isinstance(message, self.kinds)
        else:
            same = not self.what or message == self.what[0]
        return same and (self.where is None or self.where(message))

    def __str__(self) -> str:
        shown = ", ".join(one.__name__ if isinstance(one, type) else repr(one) for one in self.what)
        return " where ".join(filter(None, (shown, getattr(self.where, "__name__", None))))


def _mailbox() -> str:
    """What is in the mailbox of the current process, as a failure shows it."""
    messages = list(current().mailbox)
    if not messages:
        return "The process mailbox is empty."
    first = (
        f"Showing {SHOWN} of {len(messages)} messages in the mailbox"
        if len(messages) > SHOWN
        else "The process mailbox:"
    )
    return "\n".join([first, *(f"  {message!r}" for message in messages[-SHOWN:])])


def assert_receive(
    *what: Any, where: Where | None = None, timeout: float = WAIT, message: str | None = None
) -> Any:
    """Wait ``timeout`` seconds for a message and take it out: ExUnit's ``assert_receive``.

    ``assert_receive(Down, where=lambda down: down.ref == ref)``, ``assert_receive("pong")``.
    Raises ``AssertionError`` with ``message``, or with what is in the mailbox. In a coroutine it is
    ``await otpy.testing.aio.assert_receive``.
    """
    expected = Expected(what, where)
    _check_may_wait("assert_receive", timeout)
    try:
        return process.receive(where=expected.matches, timeout=timeout)
    except ReceiveTimeout:
        pass
    raise missing(expected, timeout, message)


def _check_may_wait(function: str, timeout: float) -> None:
    if timeout != 0:
        check_may_wait(f"testing.{function}")


def missing(expected: Expected, timeout: float, message: str | None) -> AssertionError:
    """What says that no message came within ``timeout`` seconds; ``message`` if there is one."""
    if message is not None:
        return AssertionError(message)
    if any(expected.matches(late) for late in current().mailbox):
        return AssertionError(
            f"Found message matching {expected} after {timeout} s; it came just too late: "
            "increase the timeout"
        )
    return AssertionError(f"no matching message after {timeout} s: {expected}\n{_mailbox()}")


def assert_received(*what: Any, where: Where | None = None, message: str | None = None) -> Any:
    """As ``assert_receive``, of a message that must be there already."""
    expected = Expected(what, where)
    try:
        return process.take(where=expected.matches)
    except ReceiveTimeout:
        told = message or f"no matching message in the mailbox: {expected}\n{_mailbox()}"
        current().give_way()  # who asserts it until it is true lets it come
    raise AssertionError(told)


def refute_receive(
    *what: Any, where: Where | None = None, timeout: float = WAIT, message: str | None = None
) -> None:
    """Wait ``timeout`` seconds; a matching message fails the test: ``refute_receive``.

    In a coroutine it is ``await otpy.testing.aio.refute_receive``.
    """
    expected = Expected(what, where)
    _check_may_wait("refute_receive", timeout)
    try:
        found = process.receive(where=expected.matches, timeout=timeout)
    except ReceiveTimeout:
        return
    raise unexpected(expected, found, message)


def unexpected(expected: Expected, found: Any, message: str | None) -> AssertionError:
    """What says that a message came; ``message`` if there is one."""
    return AssertionError(
        message or f"Unexpectedly received message {found!r} (which matched {expected})"
    )


def refute_received(*what: Any, where: Where | None = None, message: str | None = None) -> None:
    """As ``refute_receive``, of what is in the mailbox now."""
    refute_receive(*what, where=where, timeout=0, message=message)


def catch_exit(fn: Callable[[], Any]) -> Any:
    """The reason with which ``fn()`` exits: ExUnit's ``catch_exit``.

    That of a ``CallExit`` is ``(reason, (module, function, args))``. Raises
    ``AssertionError`` if it does not exit, and ``BadArgument`` if what it gives must be awaited:
    that is ``await otpy.testing.aio.catch_exit``. An end of the process from outside goes on.
    """
    check_function("catch_exit", fn)
    with Catching() as caught:
        result = fn()
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()
            raise BadArgument(
                f"catch_exit({fn!r}): what it gives has to be awaited; "
                "use await otpy.testing.aio.catch_exit(...)"
            )
    return caught.reason


class Catching:
    """A block that is to exit; ``reason`` is with what it did."""

    reason: Any = None

    def __enter__(self) -> Self:
        self._me = current()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, CallExit):
            self.reason = error.exit_reason
        elif isinstance(error, ProcessExit) and self._me.alive:
            self.reason = error.reason
        elif error is None:
            raise AssertionError("Expected to catch exit, got nothing")
        else:
            return False
        return True

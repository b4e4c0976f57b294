"""One test on a node of its own, with what ExUnit gives a test.

The end of a test, in this order: the test's process exits with "shutdown", so what is
linked to it ends; the children of ``start_supervised`` stop, the last first; the
``on_exit`` callbacks run, the last first, each as a process of its own; what the test has
started is looked for, and found if nobody has ended it; the node stops. Whatever goes wrong
in it fails the test.
"""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

from otpy.behaviours import supervisor
from otpy.behaviours.child_spec import ChildSpec
from otpy.bridges.aio import blocking
from otpy.cluster import global_
from otpy.runtime import process
from otpy.runtime._current import HERE, current, running_loop
from otpy.runtime._default import set_default_node
from otpy.runtime.node import Node
from otpy.runtime.reports import shown_reason
from otpy.runtime.threads import ThreadProcess
from otpy.terms.errors import (
    AlreadyStarted,
    BadArgument,
    BadChildSpec,
    CallTimeout,
    ChildError,
    ReceiveTimeout,
)
from otpy.terms.messages import Down
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import NORMAL, SHUTDOWN, is_shutdown, is_word
from otpy.testing.case_process import CaseProcess
from otpy.testing.leftovers import Processes
from otpy.testing.threads import Threads

MANY = 1_000_000  # restarts: a test's supervisor does not give up


class Failures(list[str]):
    """What went wrong at the end of a test."""


class Case:
    """A node, the test as one of its processes, and what must be undone when it is over."""

    def __init__(self, patience: float = 10.0, leaves_processes: bool = False) -> None:
        self.patience = patience
        self.leaves_processes = leaves_processes
        self.threads = Threads()
        self.node = Node("test@127.0.0.1", orphan_grace=1.0).start()
        global_.start(self.node)
        set_default_node(self.node)
        self.processes = Processes(self.node)
        self._before = HERE.proc
        self._runner: ThreadProcess = self.node.implicit()
        self.test = CaseProcess(self.node)
        self._boss: Pid | None = None
        self._callbacks: dict[Any, Callable[[], Any]] = {}
        self.end_told = False  # that the test's process was ended from outside
        HERE.proc = self.test

    @contextmanager
    def _as_runner(self) -> Generator[None, None, None]:
        """What happens here is not the test's: it outlives the test's process."""
        before, HERE.proc = HERE.proc, self._runner
        try:
            yield
        finally:
            HERE.proc = before

    # During the test.

    def _check_caller(self, what: str) -> None:
        if current() is not self.test:
            raise BadArgument(f"{what} can only be invoked from the test process")

    def start_supervised(self, child: Any, **overrides: Any) -> Any:
        """Start a child under the test's own supervisor; its pid. ``start_supervised!/2``.

        ``overrides`` replace fields of its specification: ``restart="temporary"``. Raises
        ``BadChildSpec`` (also for an id that is there: "duplicate_child_name"), ``StartError``.
        In a coroutine: ``await start_supervised(...)``.
        """
        self._check_caller("start_supervised")
        spec = supervisor.child_spec(child, **overrides)
        if running_loop() is not None:
            return blocking(self._start_child, spec)
        return self._start_child(spec)

    def _start_child(self, spec: ChildSpec) -> Any:
        if self._boss is None:
            with self._as_runner():
                self._boss = supervisor.start_link([], strategy="one_for_one", max_restarts=MANY)
        try:
            return supervisor.start_child(self._boss, spec)
        except AlreadyStarted as failed:
            if not any(row.id == spec.id for row in supervisor.which_children(self._boss)):
                raise
            raise _duplicate(spec.id) from failed
        except ChildError as failed:
            raise _duplicate(spec.id) from failed

    def start_link_supervised(self, child: Any, **overrides: Any) -> Any:
        """``start_supervised``, and link the child to the test: ``start_link_supervised!/2``.

        In a coroutine: ``await start_link_supervised(...)``.
        """
        self._check_caller("start_link_supervised")
        started = self.start_supervised(child, **overrides)
        if running_loop() is not None:
            return _linked_later(started)
        process.link(started)
        return started

    def stop_supervised(self, child_id: Any) -> Any:
        """Stop a child of ``start_supervised`` and forget it: ``stop_supervised!/1``.

        Raises ``ChildError("not_found")``. In a coroutine: ``await stop_supervised(...)``.
        """
        self._check_caller("stop_supervised")
        if running_loop() is not None:
            return blocking(self._stop_child, child_id)
        self._stop_child(child_id)
        return None

    def _stop_child(self, child_id: Any) -> None:
        if self._boss is None:
            raise ChildError("not_found", f"{child_id!r} was not started with start_supervised")
        supervisor.terminate_child(self._boss, child_id)
        try:
            supervisor.delete_child(self._boss, child_id)
        except ChildError as gone:
            if gone.reason != "not_found":  # a temporary child is forgotten as it stops
                raise

    def on_exit(self, callback: Callable[[], Any], ref: Any = None) -> None:
        """Run ``callback()`` after the test, in a process of its own: ``on_exit/2``.

        The latest runs first. A ``ref`` that was given before replaces that callback, in its
        place.
        """
        self._check_caller("on_exit")
        if not callable(callback):
            raise BadArgument(f"on_exit({callback!r}): expected a function without arguments")
        self._callbacks[object() if ref is None else ref] = callback

    # Afterwards.

    def close(self) -> Failures:
        """End the test; what went wrong."""
        failures = Failures()
        HERE.proc = self._runner
        try:
            self._end_test(failures)
            self._stop_children(failures)
            for callback in reversed(list(self._callbacks.values())):
                self._run(callback, failures)
            if not self.leaves_processes:
                failures.extend(self.processes.left_behind())
        finally:
            set_default_node(None)
            HERE.proc = self._before
            orphans = self.node.stop()
        if orphans:
            failures.append(f"bodies still running after the test: {orphans}")
        failures.extend(self.threads.left_behind())
        return failures

    def _end_test(self, failures: Failures) -> None:
        test = self.test
        if test.alive:
            refs = [process.monitor(pid) for pid in self._servers_of(test)]
            test.end(SHUTDOWN)
            # Those end in order, by their terminate; the node's end would cut that short.
            until = self.node.clock.now() + self.patience
            for ref in refs:
                with suppress(ReceiveTimeout):
                    _down(ref, max(0.0, until - self.node.clock.now()))
        elif not is_shutdown(test.reason) and not self.end_told:
            failures.append(self.how_it_ended())

    def _servers_of(self, test: CaseProcess) -> list[Pid]:
        """The servers that the test has started with a link."""
        linked = [self.node.procs.get(pid) for pid in list(test.links or ())]
        return [
            proc.pid
            for proc in linked
            if proc is not None and getattr(proc.server, "parent", None) == test.pid
        ]

    def how_it_ended(self) -> str:
        """What ExUnit says of a test whose process was ended from outside."""
        self.end_told = True
        return f"** (EXIT from {self.test.pid!r}) {shown_reason(self.test.reason)}"

    def _stop_children(self, failures: Failures) -> None:
        if self._boss is None or not process.alive(self._boss):
            return
        process.unlink(self._boss)
        try:
            supervisor.stop(self._boss, SHUTDOWN, self.patience)
        except CallTimeout:
            failures.append(f"supervisor shutdown timed out after {self.patience} s")

    def _run(self, callback: Callable[[], Any], failures: Failures) -> None:
        _, ref = process.spawn_monitor(callback)
        down = _down(ref, None)
        if not is_word(down.reason, NORMAL):
            failures.append(f"on_exit callback {callback!r} exited: {shown_reason(down.reason)}")


async def _linked_later(started: Awaitable[Pid]) -> Pid:
    pid = await started
    process.link(pid)
    return pid


def _down(ref: Ref, timeout: float | None) -> Down:
    down: Down = process.receive(Down, where=lambda down: down.ref == ref, timeout=timeout)
    return down


def _duplicate(child_id: Any) -> BadChildSpec:
    return BadChildSpec(
        ("duplicate_child_name", child_id),
        f"a child with the id {child_id!r} is there already; give another id=",
    )

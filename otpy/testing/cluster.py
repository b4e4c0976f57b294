"""A cluster of real nodes: each an OS process, on loopback or in a network of its own.

The test is none of the nodes. It asks them on channels that no partition cuts, so what runs on
the far side of a netsplit, or what a node sees that is cut off from all others, can be asked too.

| here                     | on the BEAM                                        |
|--------------------------|----------------------------------------------------|
| ``Cluster(3)``           | ``peer:start`` with ``connection => standard_io``  |
| ``call``                 | ``peer:call``                                      |
| ``multicall``            | ``erpc:multicall``                                 |
| ``stop``                 | ``peer:stop``                                      |
"""

import inspect
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar, overload

from otpy.behaviours._remote import LOST, Outcome, value_of
from otpy.cluster.start import start_node
from otpy.distribution.codec import encode
from otpy.runtime.arguments import check_timeout
from otpy.terms.errors import BadArgument
from otpy.terms.pid import Pid
from otpy.terms.values import is_whole
from otpy.testing import _cluster_node as there
from otpy.testing._cluster_program import ClusterFailed as ClusterFailed
from otpy.testing._cluster_program import Program, named, named_module
from otpy.testing._cluster_views import Expected, await_views
from otpy.testing._fork_server import ForkServer
from otpy.testing._namespaces import APART, MOST, Namespaces, check_possible, host
from otpy.testing.waiting import probed

T = TypeVar("T")
Network = Literal["mesh", "netns"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
LOOPBACK = "127.0.0.1"
WAIT = 10.0  # seconds, for one call
PATIENCE = 20.0  # seconds until the nodes must see what they should
# Those of ``start_node`` that the cluster does not give itself, and that can be sent.
OPTIONS = frozenset(inspect.signature(start_node).parameters) - {
    *("name", "cookie", "directory", "discovery", "hidden", "host", "network", "port", "refused"),
}
SHOWN = 200  # lines of a node's log that a failed test shows


class Cluster:
    """``nodes`` nodes, ``a@127.0.0.1`` and so on, with a cookie and a directory of their own.

    ::

        with Cluster(3) as c:
            c.partition({"a"}, {"b", "c"})
            assert c.call("b", node.list_) == ["c@127.0.0.1"]

    Methods take a node's name, or what stands before its ``@``. Nodes are started, harmed and
    healed by one thread; ``call`` and ``multicall`` are for all.

    ``network``: with "mesh" the nodes themselves refuse those they are cut off from, and both
    sides know at once. With "netns" each node has a network namespace of its own, its packets are
    lost without a word, and the nodes find out by ``net_ticktime`` (seconds); this needs root and
    iproute2. ``modules`` are loaded by every node from the start: those of the messages that
    nodes send each other. ``folder`` keeps the logs; without it they are gone in the end. Other
    options are those of ``start_node``, the same for each node, such as ``lease_time=1.0``, or
    ``prevent_overlapping_partitions=False`` where only some pairs are to be cut; in a
    ``state_dir`` each node has a directory, which it keeps over ``kill`` and ``restart``.

    Raises ``BadArgument``.
    """

    def __init__(
        self,
        nodes: int = 3,
        *,
        network: Network = "mesh",
        net_ticktime: float = 10.0,
        modules: Iterable[ModuleType | str] = (),
        folder: str | Path | None = None,
        forks: ForkServer | None = None,
        **options: Any,
    ) -> None:
        if not is_whole(nodes, 1) or nodes > MOST:
            raise BadArgument(f"Cluster({nodes!r}): expected a number of nodes from 1 to {MOST}")
        if network not in ("mesh", "netns"):
            raise BadArgument(f"network={network!r}; expected 'mesh' or 'netns'")
        for option in options.keys() - OPTIONS:
            known = ", ".join(sorted(OPTIONS))
            raise BadArgument(f"Cluster(..., {option}=...): expected one of the options {known}")
        self.network = network
        self.net_ticktime = net_ticktime
        self.cookie = secrets.token_hex(32)
        self._options = options
        self._modules = [named_module(module) for module in modules]
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._folder = None if folder is None else Path(folder)
        self._forks = forks
        self._forks_are_ours = forks is None or network == "netns"
        self._namespaces: Namespaces | None = None
        names = (f"{_short(number)}@{self._host(number)}" for number in range(1, nodes + 1))
        self._programs: dict[str, Program | None] = dict.fromkeys(names)
        self._cuts: dict[tuple[str, str], None] = {}  # from the first nothing reaches the second

    def _host(self, number: int) -> str:
        return LOOPBACK if self.network == "mesh" else host(number)

    # The whole.

    def open(self) -> "Cluster":
        """Start every node, all at once, and return when all of them see each other.

        Raises ``ClusterFailed``, and ``NoNamespaces`` where "netns" is not possible.
        """
        if self.network == "netns":
            check_possible()
            self._forks = ForkServer(APART)
            self._namespaces = Namespaces(self._forks.pid, len(self._programs))
        elif self._forks is None:
            self._forks = ForkServer()
        try:
            if self._folder is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="otpy-cluster-")
                self._folder = Path(self._temporary.name)
            self._start(list(self._programs))
        except BaseException as error:
            error.add_note(self.story())
            self.close()
            raise
        return self

    def close(self) -> None:
        """Kill what still runs; no process is left."""
        for program in self._programs.values():
            if program is not None:
                program.kill()
        if self._forks is not None and self._forks_are_ours:
            self._forks.close()
            self._forks = None
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> "Cluster":
        return self.open()

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            error.add_note(self.story())
        self.close()

    @property
    def folder(self) -> Path:
        """Where the cluster's files are. Raises ``ClusterFailed`` before it is open."""
        if self._folder is None:
            raise ClusterFailed("the cluster is not open; use it in a with, or call open()")
        return self._folder

    @property
    def directory(self) -> Path:
        """The nodes' directory, for a node of the test's own: ``start_node(directory=...)``."""
        return self.folder / "nodes"

    @property
    def nodes(self) -> list[str]:
        """The names of all nodes, also of those that have ended."""
        return list(self._programs)

    def name(self, node: str) -> str:
        """The full name of a node. Raises ``BadArgument``."""
        for name in self._programs:
            if node in (name, name.split("@")[0]):
                return name
        raise BadArgument(f"node={node!r}; expected one of {', '.join(self._programs)}")

    def pid(self, node: str) -> int:
        """The OS process id of a node that runs. Raises ``BadArgument``."""
        return self._running(node).pid

    # Asking.

    @overload
    def call(
        self,
        node: str,
        fn: Callable[..., Coroutine[Any, Any, T]],
        *args: Any,
        timeout: float | None = WAIT,
        green: bool = False,
    ) -> T: ...
    @overload
    def call(
        self,
        node: str,
        fn: Callable[..., T],
        *args: Any,
        timeout: float | None = WAIT,
        green: bool = False,
    ) -> T: ...
    def call(
        self,
        node: str,
        fn: Callable[..., Any],
        *args: Any,
        timeout: float | None = WAIT,
        green: bool = False,
    ) -> Any:
        """The value of ``fn(*args)``, run as a process of a node: ``peer:call``.

        As ``erpc.call``: a function of a module, which the node loads; on a thread, green, or a
        task if it is async. Arguments and value travel as messages do. Raises ``RemoteError``
        with what it raised, or with ``("erpc", "noconnection")`` if the node has ended;
        ``RemoteTimeout``; ``NotSendable``; ``BadArgument``.
        """
        return value_of(self.multicall([node], fn, *args, timeout=timeout, green=green)[0])

    def multicall(
        self,
        nodes: Iterable[str],
        fn: Callable[..., Any],
        *args: Any,
        timeout: float | None = WAIT,
        green: bool = False,
    ) -> list[Outcome]:
        """``call`` on each node at once: ``erpc:multicall``.

        In the nodes' order ``("ok", value)``, or "error" or "exit" and the reason of a
        ``RemoteError``. Raises ``NotSendable`` and ``BadArgument``.
        """
        check_timeout(timeout)
        if isinstance(nodes, str):
            raise BadArgument(f"multicall({nodes!r}): expected several nodes' names")
        programs = [self._programs[self.name(node)] for node in nodes]
        question = ("call", *named(fn), green, encode(args, "args"))
        asked = [
            (program, None if program is None else program.ask(*question)) for program in programs
        ]
        return [
            ("error", LOST) if program is None else program.answer(number, timeout)
            for program, number in asked
        ]

    def start(self, node: str, children: Any, **options: Any) -> Pid:
        """Start a supervisor on a node, as ``supervisor.start_link`` does; its pid.

        It lives as long as the node, and when the node stops it stops its children in order.
        The strategy is "one_for_one" unless given. Raises ``RemoteError`` if it does not start.
        """
        (pid,) = self.start_all(children, [node], **options)
        return pid

    def start_all(
        self,
        children: Any,
        nodes: Iterable[str] | None = None,
        timeout: float | None = WAIT,
        **options: Any,
    ) -> list[Pid]:
        """``start`` on all nodes, or on these, at once: for trees that wait for each other.

        Their pids in the order of the nodes. ``timeout``: seconds. Raises as ``start``.
        """
        if isinstance(children, (list, tuple)):
            options.setdefault("strategy", "one_for_one")
        chosen = self.nodes if nodes is None else nodes
        started = self.multicall(chosen, there.start_tree, children, options, timeout=timeout)
        return [value_of(outcome) for outcome in started]

    def wait_for(self, condition: Callable[[], T], timeout: float = WAIT) -> T:
        """The first true result of ``condition``, as ``eventually``. Raises ``AssertionError``.

        Like all of a cluster's methods it stops the thread, also that of an event loop.
        """
        return probed(condition, timeout)

    def logs(self, node: str) -> str:
        """What a node has written and logged (from INFO on), in all its lives."""
        file = self._log(self.name(node))
        return file.read_text(errors="replace") if file.exists() else ""

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def story(self) -> str:
        """The end of every node's log, as a failed test shows it."""
        if self._folder is None or not self._folder.exists():
            return ""
        return "\n".join(
            f"----- {name} -----\n" + "\n".join(self.logs(name).splitlines()[-SHOWN:])
            for name in self._programs
        )

    # The network.

    def partition(self, *sides: Iterable[str]) -> None:
        """Cut the network between these sides: ``partition({"a"}, {"b", "c"})``.

        A node of no side sees all of them. Cuts add up until ``heal``; they bind also nodes that
        are paused, or started again meanwhile. With "mesh" it returns when nobody is connected
        across, with "netns" when nothing gets through any more. Raises ``BadArgument``.
        """
        groups = [[self.name(node) for node in _side(side)] for side in sides]
        everyone = [name for group in groups for name in group]
        if len(groups) < 2 or len(set(everyone)) != len(everyone):
            raise BadArgument(f"partition{sides!r}: expected two sides or more, and no node twice")
        for group in groups:
            for one in group:
                for other in everyone:
                    if other not in group:
                        self._cuts[one, other] = None
        self._apply()

    def cut(self, one: str, other: str) -> None:
        """Cut one direction only: what ``one`` sends does not reach ``other``.

        No session lives on one direction. With "mesh" both sides are told, and ``one`` goes on
        trying; with "netns" each finds out for itself. Raises ``BadArgument``.
        """
        sender, receiver = self.name(one), self.name(other)
        if sender == receiver:
            raise BadArgument(f"cut({one!r}, {other!r}): expected two nodes")
        self._cuts[sender, receiver] = None
        self._apply()

    def heal(self, timeout: float = PATIENCE) -> None:
        """Undo every cut, and return when the nodes see each other and know each other's names.

        Raises ``ClusterFailed`` when that takes longer than ``timeout`` seconds.
        """
        before, self._cuts = self._cuts, {}
        self._apply(before)
        self.whole(timeout)

    def _apply(self, before: dict[tuple[str, str], None] | None = None) -> None:
        if self._namespaces is None:
            asked = [
                (program, program.refuse(self._refused(program.name)))
                for program in self._alive()
                if program.refused != self._refused(program.name)
            ]
            for program, number in asked:
                if number is not None:
                    value_of(program.answer(number, PATIENCE))
            self._see(present=False, timeout=PATIENCE)
            return
        for program in self._alive():
            self._cut_off(program, before or {})

    def _refused(self, name: str) -> list[str]:
        return sorted(one for one, other in self._cuts if other == name)

    def _cut_off(self, program: Program, before: dict[tuple[str, str], None]) -> None:
        """Have the namespace of a node drop what is cut now, and no more what was."""
        assert self._namespaces is not None
        lost = [self._number(other) for one, other in self._cuts if one == program.name]
        found = [
            self._number(other)
            for one, other in before
            if one == program.name and (one, other) not in self._cuts
        ]
        if found:
            self._namespaces.heal(program.pid, found)
        if lost:
            self._namespaces.cut(program.pid, lost)

    def _number(self, name: str) -> int:
        return list(self._programs).index(name) + 1

    def whole(self, timeout: float = PATIENCE) -> None:
        """Return when all nodes that run see each other, as far as no cut is between them.

        By then they know each other's global names too. Raises ``ClusterFailed``.
        """
        self._see(present=True, timeout=timeout)

    def _see(self, present: bool, timeout: float) -> None:
        awake = [program for program in self._alive() if not program.paused]
        expected: list[Expected] = []
        for program in awake:
            me = program.name
            cut = [n for n in self._programs if (me, n) in self._cuts or (n, me) in self._cuts]
            near = [one.name for one in awake if one is not program and one.name not in cut]
            absent = cut if self.network == "mesh" else []
            expected.append(Expected(program, near if present else [], absent))
        await_views(expected, timeout)

    # Single nodes.

    def pause(self, node: str) -> None:
        """Stop a node's OS process as it is, by SIGSTOP. Raises ``BadArgument``."""
        self._running(node).pause()

    def resume(self, node: str) -> None:
        """Let a paused node go on. Raises ``BadArgument``."""
        self._running(node).resume(PATIENCE)

    def kill(self, node: str) -> None:
        """End a node at once, by SIGKILL; paused ones too. Raises ``BadArgument``."""
        self._running(node).kill()
        self._gone(node)

    def stop(self, node: str, timeout: float = WAIT) -> None:
        """Stop a node in order: what ``start`` started, then the node.

        Raises ``ClusterFailed`` if it runs on after ``timeout`` seconds, ``BadArgument``.
        """
        self._running(node).stop(timeout)
        self._gone(node)

    def restart(self, *nodes: str) -> None:
        """Start nodes again: new ones under their old names. One that runs is stopped before.

        It returns when they see the others, and are seen. Raises ``ClusterFailed``.
        """
        names = [self.name(node) for node in nodes]
        for name in names:
            program = self._programs[name]
            if program is not None and not program.ended:
                self.stop(name)
            elif program is not None:
                program.reap()
                self._gone(name)
        self._start(names)

    def _gone(self, node: str) -> None:
        if self._namespaces is not None:
            self._namespaces.leave(self._number(self.name(node)))

    def _running(self, node: str) -> Program:
        program = self._programs[self.name(node)]
        if program is None or program.ended:
            code = None if program is None else program.code
            raise BadArgument(f"{self.name(node)} does not run (exit code {code})")
        return program

    def _alive(self) -> list[Program]:
        programs = self._programs.values()
        return [program for program in programs if program is not None and not program.ended]

    def _start(self, names: list[str]) -> None:
        assert self._forks is not None
        started: list[Program] = []
        for name in names:
            program = self._programs[name] = Program(self._forks, self._plan(name))
            started.append(program)
        if self._namespaces is not None:
            for program in started:
                program.heard("apart")
                self._namespaces.join(self._number(program.name), program.pid)
                self._cut_off(program, {})
                program.channel.send("joined")
        for program in started:
            program.heard("runs")
        self.whole()

    def _plan(self, name: str) -> dict[str, Any]:
        """What the program of a node is told."""
        return {
            "name": name,
            "cookie": self.cookie,
            "directory": str(self.directory),
            "options": {"net_ticktime": self.net_ticktime, **self._node_options(name)},
            "refused": self._refused(name) if self._namespaces is None else [],
            "modules": self._modules,
            "unshare": self._namespaces is not None,
            "log": str(self._log(name)),
            "folder": os.getcwd(),
            "environment": dict(os.environb),
            "path": sys.path,
        }

    def _node_options(self, name: str) -> dict[str, Any]:
        options = dict(self._options)
        if options.get("state_dir") is not None:
            options["state_dir"] = str(Path(options["state_dir"]) / name)
        return options


def _short(number: int) -> str:
    """a, b ... z, a1, b1 ..."""
    turn, letter = divmod(number - 1, len(LETTERS))
    return LETTERS[letter] + (str(turn) if turn else "")


def _side(side: Iterable[str]) -> list[str]:
    if isinstance(side, str):
        raise BadArgument(f"{side!r}: expected a side, such as {{{side!r}}}")
    return sorted(side)


__all__ = ["Cluster", "ClusterFailed"]

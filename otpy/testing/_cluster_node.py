"""What one OS process of a cluster does: a node, and what the test asks of it.

The test's end of the channel is no node, so no partition cuts it off. Frames are in
``_channel``'s form; the questions are ``("call", module, file, function, green, arguments)`` and
``("refuse", names)``. ``("stop",)`` has no answer but the end of the process.
"""

import importlib
import importlib.util
import io
import logging
import os
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from otpy.behaviours import _remote, gen_server, supervisor
from otpy.behaviours._reqids import Asked, RequestIds
from otpy.cluster._global_server import SERVER
from otpy.cluster.start import start_node
from otpy.distribution.codec import DecodeError, decode, encode, function_of
from otpy.distribution.mesh import Mesh
from otpy.runtime import process
from otpy.runtime._current import current
from otpy.runtime.node import Node
from otpy.terms.errors import CallExit, NotSendable
from otpy.terms.names import At
from otpy.terms.pid import Pid
from otpy.terms.reasons import SHUTDOWN, Crash
from otpy.testing._channel import Channel
from otpy.testing._fork_server import leave_network
from otpy.testing.waiting import eventually

SWITCH_INTERVAL = 0.0005  # seconds; a program that hogs the GIL delays the others less
FORMAT = "%(asctime)s.%(msecs)03d [%(levelname)s] %(name)s: %(message)s"
NOTICED = 5.0  # seconds until a session that was ended must be gone


def main(sock: socket.socket, plan: dict[str, Any]) -> None:
    """Be the node of ``plan`` until the test says stop, or closes its end."""
    channel = Channel(sock)
    _settle(plan)
    if plan["unshare"]:
        leave_network()
        channel.send(0, "apart")
        channel.receive()  # the network is there
    try:
        for module, file in plan["modules"]:
            load(module, file)
        node = start_node(
            plan["name"],
            cookie=plan["cookie"],
            directory=plan["directory"],
            refused=plan["refused"],
            **plan["options"],
        )
    except BaseException as error:
        channel.send(0, "failed", encode(Crash.of(error)))
        raise
    with node, node.attached():
        channel.send(0, "runs")
        _serve(node, channel, plan["refused"])


def _settle(plan: dict[str, Any]) -> None:
    """Be a program like the test's: its folder, environment and path; its own log."""
    log = os.open(plan["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for fd in (1, 2):
        os.dup2(log, fd)
    os.close(log)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)  # what a killed node has printed is there
    os.chdir(plan["folder"])
    os.environb.clear()
    os.environb.update(plan["environment"])
    sys.path[:] = plan["path"]
    sys.argv[:] = [plan["name"]]
    sys.setswitchinterval(SWITCH_INTERVAL)
    logging.basicConfig(level=logging.INFO, format=FORMAT, datefmt="%H:%M:%S", force=True)


def load(module: str, file: str | None) -> ModuleType:
    """A module of the test's, by name or else from its file. Raises what its import raises.

    pytest's import mode "importlib" loads test files that the path does not lead to.
    """
    if module in sys.modules:
        return sys.modules[module]
    if file is None or _leads_to(module, file):
        return importlib.import_module(module)
    spec = importlib.util.spec_from_file_location(module, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file}, the file of {module}, is no Python module", name=module)
    made = sys.modules[module] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(made)
    except BaseException:
        del sys.modules[module]
        raise
    return made


def _leads_to(module: str, file: str) -> bool:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return False  # nor is there its package
    return (
        spec is not None
        and spec.origin is not None
        and Path(spec.origin).resolve() == Path(file).resolve()
    )


def _serve(node: Node, channel: Channel, refused: list[str]) -> None:
    answering = process.spawn_link(answer, channel)
    while True:
        try:
            number, what, *told = channel.receive()
        except EOFError:
            return
        if what == "call":
            process.send(answering, (number, *told))
        elif what == "refuse":
            # Here, not in a process: what is asked later must be done later.
            refuse(node, refused, told[0])
            refused = told[0]
            channel.send(number, "ok", encode(None))
        else:
            return


def answer(channel: Channel) -> None:
    """The process that has functions run, each in a process of its own, and tells the outcome."""
    me = current()
    asked = Asked("answer", RequestIds(), _remote.KINDS, delete=True)
    while True:
        message: Any = process.receive()
        if asked.is_answer(message):
            request, number = asked.of(message)
            tell(channel, number, *_remote.outcome(request, message))
            continue
        number, module, file, text, green, args = message
        try:
            load(module, file)
            fn = function_of(text)
            request = _remote.ask(me, me.node.name, fn, decode(args), green)
        except DecodeError as error:
            tell(channel, number, "error", ("undef", str(error)))
        except Exception as error:  # noqa: BLE001 - an import may raise anything; the test hears it
            tell(channel, number, "error", Crash.of(error))
        else:
            assert asked.reqids is not None
            asked.reqids.add(request, number)


def tell(channel: Channel, number: int, how: str, value: Any) -> None:
    """An outcome for the test."""
    try:
        data = encode(value, "value" if how == "ok" else "reason")
    except NotSendable as error:
        how, data = "error", encode(("not_sendable", str(error)))
    channel.send(number, how, data)


def refuse(node: Node, before: list[str], now: list[str]) -> None:
    """Refuse other nodes than before, and return when none of them is connected."""
    mesh = node.router
    assert isinstance(mesh, Mesh)
    for name in now:
        mesh.cut(name)
    for name in before:
        if name not in now:
            mesh.heal(name)
    eventually(lambda: not any(name in mesh.nodes() for name in now), NOTICED)


# What the test's cluster calls.


def see(present: list[str], absent: list[str], timeout: float) -> list[str]:
    """The connected nodes, as soon as they are those that should be, or ``timeout`` has passed."""
    mesh = current().node.router
    assert isinstance(mesh, Mesh)

    def right() -> bool:
        nodes = mesh.nodes()
        here = all(name in nodes for name in present)
        return here and not any(name in nodes for name in absent)

    try:
        eventually(right, timeout)
    except AssertionError:
        return mesh.nodes()
    if timeout > 0:
        _learn_names([*present, mesh.node.name], timeout)
    return mesh.nodes()


def _learn_names(nodes: list[str], timeout: float) -> None:
    """Return when these nodes' name servers have told each other what they knew.

    ``global_.sync`` would wait for paused nodes too.
    """
    for name in nodes:
        try:
            gen_server.call(At(SERVER, name), ("sync",), timeout)
        except CallExit:
            continue  # it has gone, and will be missed


def start_tree(children: Any, flags: dict[str, Any]) -> Pid:
    """Start a supervisor that lives until the node stops, and then stops in order."""
    node = current().node
    pid = supervisor.start_link(children, **flags)
    process.unlink(pid)

    def stop(_reason: Any, seconds: float) -> None:
        try:
            supervisor.stop(pid, SHUTDOWN, seconds)
        except CallExit as error:
            if error.reason != "noproc":  # it ended before
                raise

    node.before_stop(stop)
    return pid

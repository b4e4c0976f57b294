"""A process that has otpy loaded and forks the nodes of clusters: a node costs no import.

It has one thread, so it may fork; the test's own process may not. It ends with the process that
started it, and its children with it: whatever kills the one, and stopped ones too.
"""

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from otpy.testing._channel import Channel

FORK, REAP = b"F", b"R"
PR_SET_PDEATHSIG = 1
CLONE_NEWNET = 0x40000000
PATIENCE = 10.0  # seconds that it may take to start, and a killed process to end
START = """
import json, sys
sys.path[:], preload, control, parent = json.loads(sys.argv[1])
from otpy.testing import _fork_server
_fork_server.main(preload, control, parent)
"""


class ForkServer:
    """The server, from outside. ``prefix`` is a command that runs it: ``("unshare", "-n")``."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        ours, theirs = socket.socketpair()
        preload = ["pytest"] if "pytest" in sys.modules else []  # else each node would load it
        told = json.dumps([sys.path, preload, theirs.fileno(), os.getpid()])
        with theirs:
            self._process = subprocess.Popen(
                [*prefix, sys.executable, "-c", START, told],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C is for the test
            )
        self._channel = Channel(ours)
        self.pid = self._process.pid
        try:
            with self._told_if_ended():
                self._next()  # it serves, so ``prefix`` has done what it does
        except BaseException:
            self.close()
            raise

    def fork(self, program: str, sock: socket.socket, plan: dict[str, Any]) -> int:
        """Fork a child that runs ``main(sock, plan)`` of the module ``program``; its OS pid.

        Raises ``OSError`` when the server has ended, or does not answer.
        """
        with self._told_if_ended():
            socket.send_fds(self._channel.sock, [FORK], [sock.fileno()])
            self._channel.send(program, plan)
            return int(self._next()[0])

    def reap(self, pid: int) -> int:
        """Wait for a child that ends; its exit code, minus the signal's number if one killed it.

        Raises ``OSError`` as ``fork``.
        """
        with self._told_if_ended():
            self._channel.sock.sendall(REAP)
            self._channel.send(pid)
            while (told := self._next())[0] != pid:
                pass  # of one that a time-out gave up
            return int(told[1])

    @contextmanager
    def _told_if_ended(self) -> Generator[None, None, None]:
        try:
            yield
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise OSError(f"the fork server, process {self.pid}, has ended; see stderr") from None

    def _next(self) -> Any:
        told = self._channel.receive(PATIENCE)
        if told is None:
            raise TimeoutError(f"the fork server, process {self.pid}, does not answer")
        return told

    def close(self) -> None:
        """End it, and every child that is left."""
        self._channel.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


# In the server.


def main(preload: list[str], control: int, parent: int) -> None:
    """Serve until the one that started it ends, or closes its side of ``control``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from otpy.testing import _cluster_node as _cluster_node  # with it, all of otpy that nodes need

    for module in preload:
        __import__(module)
    try:
        watch = os.pidfd_open(parent)
    except ProcessLookupError:
        return  # it has gone already
    Server(socket.socket(fileno=control), watch).serve()


class Server:
    """What the server knows: its children."""

    def __init__(self, control: socket.socket, parent: int) -> None:
        self.control = control
        self.channel = Channel(control)
        self.parent = parent
        self.children: dict[int, int] = {}  # pids by the pidfd that tells of their end
        self.codes: dict[int, int] = {}
        self.asked: list[int] = []
        self.poll = select.poll()
        for fd in (control.fileno(), parent):
            self.poll.register(fd, select.POLLIN)

    def serve(self) -> None:
        """Until nobody is left to serve."""
        self.channel.send("serves")
        while True:
            for fd, _ in self.poll.poll():
                if fd == self.parent:
                    return
                if fd == self.control.fileno():
                    if not self._obey():
                        return
                else:
                    self._ended(fd)

    def _obey(self) -> bool:
        try:
            # One byte, so that what comes with it is the socket for the child.
            what, fds, _, _ = socket.recv_fds(self.control, 1, 1)
            if not what:
                return False
            told = self.channel.receive()
        except (EOFError, OSError):
            return False
        if what == FORK:
            self.channel.send(self._fork(fds[0], *told))
        else:
            self.asked.append(told[0])
            self._tell()
        return True

    def _fork(self, fd: int, program: str, plan: dict[str, Any]) -> int:
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            child(server, socket.socket(fileno=fd), program, plan, self._leave)
        os.close(fd)
        watch = os.pidfd_open(pid)
        self.children[watch] = pid
        self.poll.register(watch, select.POLLIN)
        return pid

    def _leave(self) -> None:
        """Close, in a child, what is the server's."""
        for fd in (*self.children, self.parent):
            os.close(fd)
        self.control.close()

    def _ended(self, watch: int) -> None:
        pid = self.children.pop(watch)
        self.poll.unregister(watch)
        os.close(watch)
        _, status = os.waitpid(pid, 0)
        self.codes[pid] = os.waitstatus_to_exitcode(status)
        self._tell()

    def _tell(self) -> None:
        for pid in [pid for pid in self.asked if pid in self.codes]:
            self.asked.remove(pid)
            self.channel.send(pid, self.codes.pop(pid))


def child(
    server: int,
    sock: socket.socket,
    program: str,
    plan: dict[str, Any],
    leave: Callable[[], None],
) -> NoReturn:
    """The life of a child, from the fork to its end."""
    code = 1
    try:
        end_with_parent(server)
        leave()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.modules[program].main(sock, plan)
        code = 0
    except BaseException as error:  # noqa: BLE001 - nothing may lead it into the server's code
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def end_with_parent(parent: int) -> None:
    """Have the kernel kill this process when ``parent``, which forked it, has ended."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it ended before the kernel was told
        os._exit(1)


def leave_network() -> None:
    """Move this process, which has one thread, into an empty network namespace of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET) failed")

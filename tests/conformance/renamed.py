"""What the tests of a node that gets its name late send and start."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otpy import GenServer, Node, Ok, Pid, Ref, Reply, node, process, start_node
from tests.cluster.conftest import COOKIE

A, B = "a@127.0.0.1", "b@127.0.0.1"
NOBODY = "nonode@nohost"


@dataclass(frozen=True)
class Card:
    """A value with a pid and a reference in it."""

    pid: Pid
    ref: Ref
    text: str = ""


class Echo(GenServer[list[Any]]):
    """Gives back what it is asked, with whoever asked; keeps its casts and messages."""

    def init(self, arg: Any) -> Any:
        process.flag(trap_exit=True)
        return Ok([])

    def handle_call(self, request: Any, from_: Any, state: list[Any]) -> Any:
        if request == "kept":
            return Reply(state)
        match request:
            case ("link", Pid() as pid):
                process.link(pid)
                return Reply(process.monitor(pid))
            case _:
                pass
        return Reply((request, from_.pid))

    def handle_cast(self, request: Any, state: list[Any]) -> None:
        state.append(request)

    def handle_info(self, message: Any, state: list[Any]) -> None:
        state.append(message)


class Nodes:
    """A node without a name, another one that is on the net, and where they find each other."""

    def __init__(self, directory: Path, home: Node, far: Node) -> None:
        self.directory = directory
        self.home = home
        self.far = far

    def start(self, name: str = A, **options: Any) -> None:
        """``node.start`` in the current process."""
        options = {"cookie": COOKIE, "directory": self.directory, **options}
        node.start(name, **options)


@contextmanager
def two_nodes(directory: Path) -> Generator[Nodes, None, None]:
    """The test is a process of the nameless one."""
    with (
        start_node(B, cookie=COOKIE, directory=directory) as far,  # takes some milliseconds
        Node().start() as home,
        home.attached(),
    ):
        yield Nodes(directory, home, far)

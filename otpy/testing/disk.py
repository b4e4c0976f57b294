"""The disk of a simulated node: what a crash leaves of it is drawn from the seed.

Rules. Contents and names are written separately. What ``fsync`` was called for is there after
a crash. Of the later writes to a file the first few are there, and the one after them may be
torn. Changes of names (a new file, ``rename``, ``remove``) are a journal: the first few are
there, each whole, and ``fsync`` of anything makes those before it last. So a file that was
written and renamed without ``fsync`` may be found empty under its new name.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from otpy.runtime._current import current
from otpy.terms.errors import NodeStopped


@dataclass(slots=True, eq=False)
class _File:
    """``pending``: writes since the last fsync, each with whether it begins the file anew."""

    lasting: bytes = b""
    pending: list[tuple[bool, bytes]] = field(default_factory=list[tuple[bool, bytes]])

    def content(self) -> bytes:
        return _after(self.lasting, self.pending)


def _after(content: bytes, writes: list[tuple[bool, bytes]]) -> bytes:
    for anew, data in writes:
        content = data if anew else content + data
    return content


Change = Callable[[dict[str, _File]], object]


class Disk:
    """Files by name, in one life of a node. After a crash every method raises ``NodeStopped``."""

    def __init__(self) -> None:
        self._names: dict[str, _File] = {}
        self._lasting: dict[str, _File] = {}
        self._journal: list[Change] = []
        self._gone = False

    def names(self) -> list[str]:
        """The files, sorted."""
        self._check()
        return sorted(self._names)

    def read(self, name: str) -> bytes:
        """What a file holds. Raises ``FileNotFoundError``."""
        return self._file(name).content()

    def write(self, name: str, data: bytes) -> None:
        """Let a file hold ``data`` and nothing else; it is made if it is not there."""
        self._made(name).pending.append((True, bytes(data)))

    def append(self, name: str, data: bytes) -> None:
        """Add ``data`` to a file; it is made if it is not there."""
        self._made(name).pending.append((False, bytes(data)))

    def fsync(self, name: str) -> None:
        """Make a file last, and all names as they are now. Raises ``FileNotFoundError``."""
        file = self._file(name)
        file.lasting = file.content()
        file.pending = []
        self.fsync_names()

    def fsync_names(self) -> None:
        """Make all names last as they are now: fsync of the directory."""
        self._check()
        self._lasting = dict(self._names)
        self._journal = []

    def rename(self, source: str, target: str) -> None:
        """Give a file another name, whoever has that now. Raises ``FileNotFoundError``."""
        self._file(source)

        def change(names: dict[str, _File]) -> None:
            names[target] = names.pop(source)

        self._do(change)

    def remove(self, name: str) -> None:
        """Remove a file. Raises ``FileNotFoundError``."""
        self._file(name)
        self._do(lambda names: names.pop(name))

    def crash(self, draw: Random) -> "Disk":
        """What the node's next life finds; this disk is gone."""
        self._check()
        self._gone = True
        found = Disk()
        names = dict(self._lasting)
        for change in self._journal[: draw.randint(0, len(self._journal))]:
            change(names)
        found._names = {name: _File(_left(file, draw)) for name, file in names.items()}
        found._lasting = dict(found._names)
        return found

    def _do(self, change: Change) -> None:
        change(self._names)
        self._journal.append(change)

    def _file(self, name: str) -> _File:
        self._check()
        file = self._names.get(name)
        if file is None:
            raise FileNotFoundError(f"no file {name!r} on this disk, which has {self.names()}")
        return file

    def _made(self, name: str) -> _File:
        self._check()
        file = self._names.get(name)
        if file is None:
            file = _File()

            def change(names: dict[str, _File]) -> None:
                names[name] = file

            self._do(change)
        return file

    def _check(self) -> None:
        if self._gone:
            raise NodeStopped("the node of this disk has crashed; its next life has a disk anew")


class DiskFolder:
    """What a node keeps of its leases (``state_dir``), on its simulated disk."""

    def __init__(self, disk: Disk, path: str) -> None:
        self._disk = disk
        self._path = path

    def __str__(self) -> str:
        return self._path

    def take(self) -> bool:
        """A disk belongs to one node."""
        return True

    def leave(self) -> None:
        """Nobody else can have it."""

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        if name in self.names():
            self._disk.remove(f"{self._path}/{name}")

    def names(self) -> list[str]:
        """The files, sorted."""
        start = f"{self._path}/"
        return [name[len(start) :] for name in self._disk.names() if name.startswith(start)]

    def read(self, name: str) -> bytes:
        """What a file holds. Raises ``FileNotFoundError``."""
        return self._disk.read(f"{self._path}/{name}")

    def put(self, name: str, data: bytes) -> None:
        """Write a file aside, bring it to the disk and rename it."""
        path, draft = f"{self._path}/{name}", f"{self._path}/{name}.new"
        self._disk.write(draft, data)
        self._disk.fsync(draft)
        self._disk.rename(draft, path)
        self._disk.fsync_names()


def _left(file: _File, draw: Random) -> bytes:
    """What a crash leaves of a file: some of its writes, the last of them perhaps torn."""
    kept = draw.randint(0, len(file.pending))
    content = _after(file.lasting, file.pending[:kept])
    if kept == len(file.pending):
        return content
    anew, data = file.pending[kept]
    torn = data[: draw.randint(0, len(data))]
    return torn if anew and torn else content + (b"" if anew else torn)


class Holder:
    """What a node keeps: its disk."""

    def __init__(self) -> None:
        self.disk = Disk()


def disk() -> Disk:
    """The disk of the current process's node; on a node that is not simulated a fresh one."""
    return current().node.own(Holder).disk

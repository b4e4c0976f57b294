"""What a granter of leases has promised, on its disk: one file for each name.

The latest life of the lease server uses the folder: what an earlier one had still to write is
refused.
"""

import hashlib
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any, NamedTuple

from otpy.cluster._lease_folder import Folder
from otpy.distribution.codec import DecodeError, decode, encode
from otpy.machines.lease_granter import Record
from otpy.terms.errors import NodeError
from otpy.terms.values import is_whole

FORMAT = "otpy lease 1"
SUFFIX = ".lease"
FLOOR = "floor"  # the file of the greatest token under a name that was dropped
PATIENCE = 1.0  # seconds that the end of a node waits for a disk


class Kept(NamedTuple):
    """What a life of the lease server begins with, and which life that is."""

    life: int
    records: tuple[Record, ...]
    floor: int


class LeaseStore:
    """The files of one node in a folder of its own. Its methods may be called on any thread."""

    def __init__(self, folder: Folder, node: str) -> None:
        self.folder = folder
        self.node = node
        self._busy = threading.Lock()
        self._life = 0
        self._closed = False

    def load(self) -> Kept:
        """All that is kept; what earlier lives have still to write is refused from now on.

        Raises ``NodeError`` for a file that cannot be read and if another node uses the folder,
        in this OS process or in another, and ``OSError``, also after ``close``.
        """
        self._life += 1
        with self._at_work():
            if self._closed:
                raise OSError(f"{self.folder} was given back when {self.node} stopped")
            if not self.folder.take():
                raise NodeError(
                    f"state_dir of {self.node}: another node uses {self.folder}, in this OS "
                    "process or in another; expected a directory of this node alone, and that its "
                    "earlier life has ended"
                )
            names = self.folder.names()
            records = tuple(self._record(name) for name in names if name.endswith(SUFFIX))
            return Kept(self._life, records, self._floor() if FLOOR in names else 0)

    def write(self, life: int, record: Record) -> None:
        """Return when the record is on the disk. Raises ``OSError``."""
        with self._at_work():
            self._check(life)
            self._bring(_file(record.name), record)

    def drop(self, life: int, names: Iterable[Any], floor: int) -> None:
        """Bring ``floor`` to the disk, then forget these names. Raises ``OSError``."""
        with self._at_work():
            self._check(life)
            self._bring(FLOOR, floor)
            for name in names:
                self.folder.remove(_file(name))

    def close(self) -> None:
        """Let another have the folder; nothing is written any more.

        What is being written is waited for, but not for long: then it gives the folder back.
        """
        self._life += 1
        self._closed = True
        if self._busy.acquire(timeout=PATIENCE):
            try:
                self.folder.leave()
            finally:
                self._busy.release()

    @contextmanager
    def _at_work(self) -> Generator[None, None, None]:
        with self._busy:
            try:
                yield
            finally:
                if self._closed:
                    self.folder.leave()

    def _check(self, life: int) -> None:
        if life != self._life:
            raise OSError(f"{self.folder} is in the hands of a later lease server")

    def _bring(self, file: str, content: Any) -> None:
        self.folder.put(file, encode((FORMAT, self.node, content), "record"))

    def _record(self, file: str) -> Record:
        found = self._read(file)
        if not isinstance(found, Record):
            raise self._bad(file, f"is no record but {found!r:.80}")
        return found

    def _floor(self) -> int:
        found: Any = self._read(FLOOR)
        if not is_whole(found, 0):
            raise self._bad(FLOOR, f"is no token but {found!r:.80}")
        floor: int = found
        return floor

    def _read(self, file: str) -> Any:
        try:
            found: Any = decode(self.folder.read(file))
        except DecodeError as error:
            raise self._bad(file, f"is damaged ({error})") from error
        match found:
            case (str(form), str(node), content) if form == FORMAT:
                if node != self.node:
                    raise self._bad(file, f"belongs to {node}")
                return content
            case _:
                raise self._bad(file, f"is no file of the form {FORMAT!r}")

    def _bad(self, file: str, what: str) -> NodeError:
        return NodeError(
            f"state_dir of {self.node}: {self.folder}/{file} {what}; expected what this node wrote."
            " If it is lost, remove the node from the quorums before it starts without it"
        )


def _file(name: Any) -> str:
    return f"{hashlib.sha256(encode(name, 'name')).hexdigest()}{SUFFIX}"

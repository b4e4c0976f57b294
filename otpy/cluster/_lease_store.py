"""What a granter of leases has promised, on its disk: one file for each name.

A file is written aside, brought to the disk and renamed, so that after a crash there is the old
one or the new one, whole.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

from otpy.distribution.codec import DecodeError, decode, encode
from otpy.machines.lease_granter import Record
from otpy.terms.errors import NodeError

FORMAT = "otpy lease 1"
SUFFIX = ".lease"


class LeaseStore:
    """The files of one node in a directory of its own."""

    def __init__(self, directory: Path, node: str) -> None:
        self.directory = directory
        self.node = node

    def load(self) -> tuple[Record, ...]:
        """All records. Raises ``NodeError`` for a file that cannot be read, and ``OSError``."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return tuple(self._read(path) for path in sorted(self.directory.glob(f"*{SUFFIX}")))

    def write(self, record: Record) -> None:
        """Return when the record is on the disk. Raises ``OSError``."""
        name = hashlib.sha256(encode(record.name, "name")).hexdigest()
        path = self.directory / f"{name}{SUFFIX}"
        draft = path.with_suffix(".new")
        with draft.open("wb") as file:
            file.write(encode((FORMAT, self.node, record), "record"))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        entry = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(entry)
        finally:
            os.close(entry)

    def _read(self, path: Path) -> Record:
        try:
            found: Any = decode(path.read_bytes())
        except DecodeError as error:
            raise self._bad(path, f"is damaged ({error})") from error
        match found:
            case (str(form), str(node), Record() as record) if form == FORMAT:
                if node != self.node:
                    raise self._bad(path, f"belongs to {node}")
                return record
            case _:
                raise self._bad(path, f"is no file of the form {FORMAT!r}")

    def _bad(self, path: Path, what: str) -> NodeError:
        return NodeError(
            f"state_dir of {self.node}: {path} {what}; expected what this node wrote. If it is "
            "lost, remove the node from the quorums before it starts without it"
        )

"""The local directory: nodes of this machine and user, one file each. Plays epmd's part."""

import contextlib
import hashlib
import json
import os
import stat
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

from otpy.machines.discovery import Entry
from otpy.terms.errors import NodeError, NodeNameTaken

LONGEST = 200  # characters of a file's name; a node's may be too long for one
SETTLED = 1.0  # seconds after which another change of the directory has another time


def default_directory() -> Path:
    """The directory of this user."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"otpy-nodes-{os.getuid()}"


class Directory:
    """The table of nodes, as files that are replaced whole."""

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path) if path is not None else default_directory()
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = self.path.lstat()
        # Below a shared /tmp somebody else may have made it first, to lead our nodes astray.
        if made.st_uid != os.getuid() or not stat.S_ISDIR(made.st_mode):
            raise NodeError(f"{self.path} belongs to another user; give another directory")
        self._read_at: int | None = None  # the directory's time of change when the files were read
        self._files: list[tuple[Path, Entry]] = []

    def _file(self, name: str) -> Path:
        text = quote(name, safe="@")
        if len(text) > LONGEST:
            text = hashlib.sha256(name.encode()).hexdigest()
        return self.path / f"{text}.json"

    def add(self, entry: Entry) -> None:
        """Enter a node. Raises ``NodeNameTaken`` while another live process has the name."""
        holder = self.get(entry.name)
        if holder is not None and (holder.pid, holder.port) != (entry.pid, entry.port):
            raise NodeNameTaken(
                f"{entry.name} runs already, as process {holder.pid} on port {holder.port}"
            )
        file = self._file(entry.name)
        draft = file.with_suffix(f".{entry.pid}")
        draft.write_text(json.dumps(asdict(entry)))
        draft.replace(file)

    def remove(self, entry: Entry) -> None:
        """Take a node out if the entry is still its own."""
        if self._read(self._file(entry.name)) == entry:
            self._file(entry.name).unlink(missing_ok=True)

    def get(self, name: str) -> Entry | None:
        """A live node's entry."""
        return self._alive(self._file(name))

    def all(self) -> list[Entry]:
        """Every live node, by name. The files are read when one of them has changed."""
        changed = self.path.stat().st_mtime_ns
        if changed != self._read_at:
            read = [(file, self._read(file)) for file in sorted(self.path.glob("*.json"))]
            self._files = [(file, entry) for file, entry in read if entry is not None]
            # A change at nearly the same instant may leave the time as it is.
            settled = abs(time.time() - changed / 1e9) > SETTLED
            self._read_at = changed if settled else None
        found = [
            entry if _runs(entry) else self._alive(file)  # another may have the name since
            for file, entry in self._files
        ]
        return [entry for entry in found if entry is not None]

    def _read(self, file: Path) -> Entry | None:
        with contextlib.suppress(OSError, ValueError, TypeError):
            entry = Entry(**json.loads(file.read_text()))
            return entry if entry.pid > 0 else None
        return None

    def _alive(self, file: Path) -> Entry | None:
        entry = self._read(file)
        if entry is not None and not _runs(entry):
            file.unlink(missing_ok=True)
            return None
        return entry


def _runs(entry: Entry) -> bool:
    """Whether the OS process of an entry is there."""
    try:
        os.kill(entry.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, as another user
    return True

"""A network of its own for each node: a network namespace, joined to a bridge in another.

Nothing of it is the machine's: the bridge stands in the fork server's namespace, and namespaces,
cables and bridge vanish with the last process in them, however that ended.

A cut gives the sender a wrong hardware address for the receiver: its packets leave, and nobody
takes them. So neither side is told, one direction can be cut alone, and no firewall is needed.
"""

import os
import shutil
import subprocess

COMMANDS = ("ip", "nsenter", "unshare")
APART = ("unshare", "--net")  # runs what follows in a network of its own
BRIDGE = "br0"
NOBODY = "02:ff:ff:ff:ff:ff"
MOST = 250  # nodes: their numbers are the last byte of their addresses
WAIT = 10.0  # seconds for one command


class NoNamespaces(Exception):
    """Network namespaces cannot be made here; the text says why."""


def check_possible() -> None:
    """Raise ``NoNamespaces`` unless this process can make networks."""
    if os.geteuid() != 0:
        raise NoNamespaces("network namespaces need root")
    missing = [command for command in COMMANDS if shutil.which(command) is None]
    if missing:
        raise NoNamespaces(f"not installed: {', '.join(missing)} (iproute2, util-linux)")
    made = f"link add {BRIDGE} type bridge\nlink add p0 type veth peer name q0\n"
    tried = _run([*APART, "ip", "-batch", "-"], made)
    if tried.returncode:
        raise NoNamespaces(f"no bridge can be made in a namespace: {tried.stderr.strip()}")


def host(number: int) -> str:
    """The address of the node with this number, from 1."""
    return f"10.0.0.{number}"


def hardware(number: int) -> str:
    """Its hardware address."""
    return f"02:00:00:00:00:{number:02x}"


class Namespaces:
    """The networks of one cluster, around the bridge in that of the process ``switch``."""

    def __init__(self, switch: int, nodes: int) -> None:
        self.switch = switch
        self.nodes = nodes
        self._cables = 0
        self._ports: dict[int, str] = {}
        self._ip(switch, f"link add {BRIDGE} type bridge", f"link set {BRIDGE} up")

    def join(self, number: int, pid: int) -> None:
        """Connect the namespace of a node's process; its earlier one is gone."""
        self._cables += 1
        port = self._ports[number] = f"p{self._cables}"
        self._ip(
            self.switch,
            f"link add {port} type veth peer name eth0 address {hardware(number)} netns {pid}",
            f"link set {port} master {BRIDGE} up",
        )
        others = [other for other in range(1, self.nodes + 1) if other != number]
        self._ip(
            pid,
            "link set lo up",
            f"addr add {host(number)}/24 dev eth0",
            "link set eth0 up",
            *(_way(other, hardware(other)) for other in others),
        )

    def cut(self, pid: int, others: list[int]) -> None:
        """Drop what the node of a process sends to these."""
        self._ip(pid, *(_way(other, NOBODY) for other in others))

    def heal(self, pid: int, others: list[int]) -> None:
        """Undo ``cut``."""
        self._ip(pid, *(_way(other, hardware(other)) for other in others))

    def leave(self, number: int) -> None:
        """Take the cable of a node that has ended away, before the kernel comes to it."""
        port = self._ports.pop(number, None)
        if port is not None:
            done = self._try(self.switch, f"link del {port}")
            if done.returncode and "Cannot find device" not in done.stderr:
                raise OSError(f"cannot remove {port}: {done.stderr.strip()}")

    def _ip(self, pid: int, *lines: str) -> None:
        done = self._try(pid, *lines)
        if done.returncode:
            raise OSError(f"in the namespace of process {pid}: {done.stderr.strip()}")

    def _try(self, pid: int, *lines: str) -> "subprocess.CompletedProcess[str]":
        # Before it has left it, a process is in the machine's own network, which is not ours.
        if _network_of(pid) == _network_of(os.getpid()):
            raise OSError(f"process {pid} has no network namespace of its own")
        command = ["nsenter", "--target", str(pid), "--net", "ip", "-batch", "-"]
        return _run(command, "\n".join(lines) + "\n")


def _network_of(pid: int) -> tuple[int, int]:
    found = os.stat(f"/proc/{pid}/ns/net")
    return found.st_dev, found.st_ino


def _way(number: int, address: str) -> str:
    return f"neigh replace {host(number)} lladdr {address} dev eth0 nud permanent"


def _run(command: list[str], text: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=WAIT, check=False
    )

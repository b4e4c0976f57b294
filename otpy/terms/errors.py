"""Every exception otpy raises.

BaseException
└── ProcessExit               the current process ends (not an Exception, so that
                              ``except Exception`` cannot swallow an exit)
Exception
└── OtpyError
    ├── StartError            a start function did not give a process
    │   ├── AlreadyStarted    the name is taken; .pid has it
    │   └── Ignored           init returned IGNORE where a pid was needed
    ├── CallExit              a call ended without a reply; .reason says why
    │   └── CallTimeout       (also TimeoutError)
    ├── ReceiveTimeout        (also TimeoutError)
    ├── ClusterNotReady       too few nodes are there; .nodes (also TimeoutError)
    ├── NoProcess             the process is not alive (also LookupError)
    ├── NotRegistered         nobody has that name (also LookupError)
    ├── NameTaken             the name, or the process, already has one (also ValueError)
    │   └── AlreadyRegistered the key of a registry is taken; .pid has it
    ├── QuorumError           the members of a lease's quorum cannot change now; .reason
    ├── NotAName              not usable as a name (also ValueError)
    ├── BadArgument           a value otpy cannot take (also ValueError)
    │   ├── BadChildSpec      a child specification is wrong
    │   └── BadFlags          a supervisor's options are wrong
    ├── ChildError            a supervisor refused an operation on a child; .reason
    ├── ApplicationError      an application was not loaded, started or stopped; .reason
    ├── NotSendable           the message cannot leave this node (also TypeError)
    ├── WouldBlockLoop        a blocking call on a thread with a running event loop
    ├── NotSimulated          a simulation was asked for what only the world outside has
    ├── Busy                  a send that would have to wait, where waiting is not allowed
    ├── NodeError             the node itself cannot do this
    │   ├── NodeForked        called in a forked child
    │   ├── NodeStopped       the node was stopped
    │   ├── NotDistributed    the node has no mesh
    │   ├── AddressInUse      another program has the port (also OSError)
    │   ├── NodeNameTaken     another live node of this machine has the name
    │   └── WeakCookie        the cookie is too short to leave this machine with
    └── RemoteError           code run on another node failed; .reason says how
        └── RemoteTimeout     (also TimeoutError)
"""

from typing import Any

from otpy.terms.pid import Pid


class ProcessExit(BaseException):
    """Ends the current process with ``reason``: Erlang's ``exit(Reason)``.

    Raised by otpy in the body of a process that has been ended from outside, and
    by users to end their own.
    """

    def __init__(self, reason: Any = "normal") -> None:
        super().__init__(reason)
        self.reason = reason


class OtpyError(Exception):
    """The root of otpy's ordinary exceptions."""


class StartError(OtpyError):
    """A start function failed; ``reason`` is what OTP gives in ``{error, Reason}``."""

    def __init__(self, reason: Any, message: str | None = None) -> None:
        super().__init__(message or f"the process did not start: {reason}")
        self.reason = reason


class AlreadyStarted(StartError):
    """The name is taken: OTP's ``{error, {already_started, Pid}}``."""

    def __init__(self, pid: Pid) -> None:
        super().__init__(("already_started", pid), f"already started as {pid!r}")
        self.pid = pid


class Ignored(StartError):
    """``init`` returned ``IGNORE``; the process ended with ``"normal"``."""

    def __init__(self) -> None:
        super().__init__("ignore", "init returned IGNORE: there is no process")


class CallExit(OtpyError):
    """A call ended without a reply: Erlang's ``exit({Reason, {Module, call, Args}})``.

    ``reason`` is why; ``request`` is ``(module, function, args)``. Uncaught, the
    process exits with ``exit_reason``.
    """

    def __init__(self, reason: Any, request: tuple[Any, ...] = ()) -> None:
        super().__init__(reason, request)
        self.reason = reason
        self.request = request

    @property
    def exit_reason(self) -> Any:
        """What the process exits with if nobody catches this."""
        return (self.reason, self.request)

    def __str__(self) -> str:
        if not self.request:
            return str(self.reason)
        module, function, args = self.request
        shown = ", ".join(repr(arg) for arg in args)
        return f"{self.reason} in {module}.{function}({shown})"


class CallTimeout(CallExit, TimeoutError):
    """No reply within the time-out. The server is not affected; a late reply is dropped."""


class ReceiveTimeout(OtpyError, TimeoutError):
    """No matching message within the time-out."""


class ClusterNotReady(OtpyError, TimeoutError):
    """``cluster_ready`` has waited in vain.

    ``nodes`` are those that are there, this one among them, of the ``min_nodes`` that were wanted
    within ``timeout`` seconds; ``unsettled`` are connected, and their names are not known yet.
    """

    def __init__(
        self, min_nodes: int, timeout: float, nodes: list[str], connected: list[str]
    ) -> None:
        self.min_nodes = min_nodes
        self.timeout = timeout
        self.nodes = nodes
        self.unsettled = [node for node in connected if node not in nodes]
        slow = f"; {', '.join(self.unsettled)}: connected, and no answer yet"
        super().__init__(
            f"{len(nodes)} of {min_nodes} nodes are there after {timeout:g} s: "
            + ", ".join(nodes)
            + (slow if self.unsettled else "")
        )


class NoProcess(OtpyError, LookupError):
    """The process is not alive: OTP's ``noproc``."""


class NotRegistered(OtpyError, LookupError):
    """Nobody is registered under the name: OTP's ``badarg`` of send and unregister."""


class NameTaken(OtpyError, ValueError):
    """The name has a holder, or the process a name: OTP's ``badarg`` of register."""


class AlreadyRegistered(NameTaken):
    """A registry's key is taken: OTP's ``{error, {already_registered, Pid}}``."""

    def __init__(self, key: Any, pid: Pid) -> None:
        super().__init__(f"the key {key!r} is registered already, by {pid!r}")
        self.key = key
        self.pid = pid


class QuorumError(OtpyError):
    """The members of a quorum cannot change now.

    ``reason``: "not_holder", "no_members" (the quorum is a number), "no_token" (too few of the
    members have a ``state_dir``), or "busy" with another change.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class NotAName(OtpyError, ValueError):
    """The value cannot be a name; the text says what can."""


class BadArgument(OtpyError, ValueError):
    """A value that otpy cannot take: OTP's ``badarg``. Names the value and what was expected."""


class BadChildSpec(BadArgument):
    """A child specification is wrong; ``reason`` is OTP's term, such as ``"missing_id"``."""

    def __init__(self, reason: Any, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class BadFlags(BadArgument):
    """A supervisor's options are wrong; ``reason`` is OTP's ``{supervisor_data, ...}``."""

    def __init__(self, reason: Any, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ChildError(OtpyError):
    """A supervisor refused: OTP's ``{error, Reason}`` of its child functions.

    ``reason`` is ``"not_found"``, ``"running"``, ``"restarting"``,
    ``"already_present"``, ``("already_started", pid)`` and the like.
    """

    def __init__(self, reason: Any, message: str | None = None) -> None:
        super().__init__(message or str(reason))
        self.reason = reason


class ApplicationError(OtpyError):
    """What was asked of an application was not done: OTP's ``{error, Reason}``.

    ``reason`` is ``("not_started", name)``, ``("already_started", name)``,
    ``("not_loaded", name)``, ``("running", name)`` and the like, or why it did not start.
    """

    def __init__(self, reason: Any, message: str | None = None) -> None:
        super().__init__(message or str(reason))
        self.reason = reason


class NotSendable(OtpyError, TypeError):
    """The message cannot leave this node; ``path`` leads to the value that cannot."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class WouldBlockLoop(OtpyError, RuntimeError):
    """A blocking otpy call on a thread with a running event loop; names the ``aio`` one."""


class NotSimulated(OtpyError, RuntimeError):
    """A simulation was asked for what only the world outside has: a socket, a signal, a thread."""


class Busy(OtpyError):
    """The way to the peer is full and the caller may not wait."""


class NodeError(OtpyError):
    """The node cannot do this."""


class NodeForked(NodeError):
    """otpy was called in a forked child; start a node of its own there instead."""


class NodeStopped(NodeError):
    """The node has been stopped."""


class NotDistributed(NodeError):
    """The node has no mesh, so other nodes cannot be reached."""


class AddressInUse(NodeError, OSError):
    """Another program listens on the node's port."""


class NodeNameTaken(NodeError):
    """Another live node of this machine and user has the name."""


class WeakCookie(NodeError, ValueError):
    """The cookie is too weak for the addresses the node listens on."""


class RemoteError(OtpyError):
    """A function that ``erpc`` asked another node to run gave no value; ``reason`` says why.

    | ``reason``                | in OTP                                | what happened           |
    |---------------------------|---------------------------------------|-------------------------|
    | a ``Crash``               | ``error:{exception, Reason, Stack}``  | it raised               |
    | ``("exception", reason)`` | ``exit:{exception, Reason}``          | it exited, or a call or |
    |                           |                                       | ``erpc`` in it failed   |
    | ``("signal", reason)``    | ``exit:{signal, Reason}``             | its process was ended   |
    | ``("erpc", "timeout")``   | ``error:{erpc, timeout}``             | ``RemoteTimeout``       |
    | ``("erpc",                | ``error:{erpc, noconnection}``        | its node is out of      |
    | "noconnection")``         |                                       | reach                   |
    | ``("undef", text)``       | ``error:{exception, undef, Stack}``   | the node does not have  |
    |                           |                                       | the function loaded     |
    | ``("not_sendable", why)`` |                                       | its value cannot travel |

    ``label``: of the request, if it was one of a collection.
    """

    def __init__(self, reason: Any, label: Any = None) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.label = label


class RemoteTimeout(RemoteError, TimeoutError):
    """No value within the time-out. The function goes on; what it gives is dropped."""

"""otpy: Erlang/OTP's way of building systems, in Python.

Elixir's ``Module.function`` is ``otpy.module.function``. Everything is imported
on first use, so ``import otpy`` is cheap.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_ERRORS = (
    "AddressInUse",
    "AlreadyRegistered",
    "AlreadyStarted",
    "ApplicationError",
    "BadArgument",
    "BadChildSpec",
    "BadFlags",
    "Busy",
    "CallExit",
    "CallTimeout",
    "ChildError",
    "ClusterNotReady",
    "Ignored",
    "NameTaken",
    "NoProcess",
    "NodeError",
    "NodeForked",
    "NodeNameTaken",
    "NodeStopped",
    "NotAName",
    "NotDistributed",
    "NotRegistered",
    "NotSendable",
    "NotSimulated",
    "OtpyError",
    "ProcessExit",
    "QuorumError",
    "ReceiveTimeout",
    "RemoteError",
    "RemoteTimeout",
    "StartError",
    "WeakCookie",
    "WouldBlockLoop",
)
_HOMES: dict[str, str] = {
    **dict.fromkeys(_ERRORS, "otpy.terms.errors"),
    **dict.fromkeys(("Pid", "Ref", "Creation"), "otpy.terms.pid"),
    **dict.fromkeys(("Global", "Via", "At"), "otpy.terms.names"),
    **dict.fromkeys(
        (
            "Down",
            "Exit",
            "GroupJoin",
            "GroupLeave",
            "NameFree",
            "NodeDown",
            "NodeUp",
            "Response",
            "SpawnReply",
            "Timeout",
            "TimerCancelled",
            "TimerFired",
            "TimerRead",
        ),
        "otpy.terms.messages",
    ),
    **dict.fromkeys(
        ("NORMAL", "SHUTDOWN", "KILL", "KILLED", "NOPROC", "NOCONNECTION", "Crash"),
        "otpy.terms.reasons",
    ),
    **dict.fromkeys(
        ("Ok", "Reply", "NoReply", "Stop", "IGNORE", "InitResult", "CallResult", "Next"),
        "otpy.behaviours.results",
    ),
    **dict.fromkeys(("GenServer", "Request"), "otpy.behaviours.gen_server"),
    "GenStatem": "otpy.behaviours.gen_statem",
    **dict.fromkeys(("Application", "ApplicationSpec"), "otpy.behaviours.application"),
    "From": "otpy.runtime.mail",
    "Node": "otpy.runtime.node",
    "ChildSpec": "otpy.behaviours.child_spec",
    "Supervisor": "otpy.behaviours.supervisor",
    "Agent": "otpy.behaviours.agent",
    "Task": "otpy.behaviours._task",
    "TaskSupervisor": "otpy.behaviours.task_supervisor",
    **dict.fromkeys(("Done", "Exited"), "otpy.behaviours.results"),
    "DynamicSupervisor": "otpy.behaviours.dynamic_supervisor",
    "PartitionSupervisor": "otpy.behaviours.partition_supervisor",
    **dict.fromkeys(("self_pid", "make_ref", "actor_ref"), "otpy.runtime.process"),
    "pykka_child": "otpy.bridges.pykka_",
    "start_mesh": "otpy.distribution.start",
    **dict.fromkeys(("Dns", "Gossip", "LocalDirectory", "Static"), "otpy.distribution.discovery"),
    "start_node": "otpy.cluster.start",
    **dict.fromkeys(("ClusterReady", "cluster_ready"), "otpy.cluster.ready"),
    **dict.fromkeys(("seconds", "minutes", "hours"), "otpy.runtime.units"),
}
_MODULES: dict[str, str] = {
    "process": "otpy.runtime.process",
    "node": "otpy.cluster.node",
    "gen_server": "otpy.behaviours.gen_server",
    "agent": "otpy.behaviours.agent",
    "task": "otpy.behaviours.task",
    "task_supervisor": "otpy.behaviours.task_supervisor",
    "gen_statem": "otpy.behaviours.gen_statem",
    "supervisor": "otpy.behaviours.supervisor",
    "dynamic_supervisor": "otpy.behaviours.dynamic_supervisor",
    "partition_supervisor": "otpy.behaviours.partition_supervisor",
    "sys": "otpy.behaviours.sys",
    "registry": "otpy.behaviours.registry",
    "application": "otpy.behaviours.application",
    "timer": "otpy.behaviours.timer",
    "discovery": "otpy.distribution.discovery",
    "erpc": "otpy.distribution.erpc",
    "rpc": "otpy.distribution.rpc",
    "aio": "otpy.bridges.aio",
    "asgi": "otpy.bridges.asgi",
    "global_": "otpy.cluster.global_",
    "pg": "otpy.cluster.pg",
}

if TYPE_CHECKING:
    from otpy.behaviours import agent as agent
    from otpy.behaviours import application as application
    from otpy.behaviours import dynamic_supervisor as dynamic_supervisor
    from otpy.behaviours import gen_server as gen_server
    from otpy.behaviours import gen_statem as gen_statem
    from otpy.behaviours import partition_supervisor as partition_supervisor
    from otpy.behaviours import registry as registry
    from otpy.behaviours import supervisor as supervisor
    from otpy.behaviours import sys as sys
    from otpy.behaviours import task as task
    from otpy.behaviours import task_supervisor as task_supervisor
    from otpy.behaviours import timer as timer
    from otpy.behaviours._task import Task as Task
    from otpy.behaviours.agent import Agent as Agent
    from otpy.behaviours.application import Application as Application
    from otpy.behaviours.application import ApplicationSpec as ApplicationSpec
    from otpy.behaviours.child_spec import ChildSpec as ChildSpec
    from otpy.behaviours.dynamic_supervisor import DynamicSupervisor as DynamicSupervisor
    from otpy.behaviours.gen_server import GenServer as GenServer
    from otpy.behaviours.gen_server import Request as Request
    from otpy.behaviours.gen_statem import GenStatem as GenStatem
    from otpy.behaviours.partition_supervisor import PartitionSupervisor as PartitionSupervisor
    from otpy.behaviours.results import IGNORE as IGNORE
    from otpy.behaviours.results import CallResult as CallResult
    from otpy.behaviours.results import Done as Done
    from otpy.behaviours.results import Exited as Exited
    from otpy.behaviours.results import InitResult as InitResult
    from otpy.behaviours.results import Next as Next
    from otpy.behaviours.results import NoReply as NoReply
    from otpy.behaviours.results import Ok as Ok
    from otpy.behaviours.results import Reply as Reply
    from otpy.behaviours.results import Stop as Stop
    from otpy.behaviours.supervisor import Supervisor as Supervisor
    from otpy.behaviours.task_supervisor import TaskSupervisor as TaskSupervisor
    from otpy.bridges import aio as aio
    from otpy.bridges import asgi as asgi
    from otpy.bridges.pykka_ import pykka_child as pykka_child
    from otpy.cluster import global_ as global_
    from otpy.cluster import node as node
    from otpy.cluster import pg as pg
    from otpy.cluster.ready import ClusterReady as ClusterReady
    from otpy.cluster.ready import cluster_ready as cluster_ready
    from otpy.cluster.start import start_node as start_node
    from otpy.distribution import discovery as discovery
    from otpy.distribution import erpc as erpc
    from otpy.distribution import rpc as rpc
    from otpy.distribution.discovery import Dns as Dns
    from otpy.distribution.discovery import Gossip as Gossip
    from otpy.distribution.discovery import LocalDirectory as LocalDirectory
    from otpy.distribution.discovery import Static as Static
    from otpy.distribution.start import start_mesh as start_mesh
    from otpy.runtime import process as process
    from otpy.runtime.mail import From as From
    from otpy.runtime.node import Node as Node
    from otpy.runtime.process import actor_ref as actor_ref
    from otpy.runtime.process import make_ref as make_ref
    from otpy.runtime.process import self_pid as self_pid
    from otpy.runtime.units import hours as hours
    from otpy.runtime.units import minutes as minutes
    from otpy.runtime.units import seconds as seconds
    from otpy.terms.errors import AddressInUse as AddressInUse
    from otpy.terms.errors import AlreadyRegistered as AlreadyRegistered
    from otpy.terms.errors import AlreadyStarted as AlreadyStarted
    from otpy.terms.errors import ApplicationError as ApplicationError
    from otpy.terms.errors import BadArgument as BadArgument
    from otpy.terms.errors import BadChildSpec as BadChildSpec
    from otpy.terms.errors import BadFlags as BadFlags
    from otpy.terms.errors import Busy as Busy
    from otpy.terms.errors import CallExit as CallExit
    from otpy.terms.errors import CallTimeout as CallTimeout
    from otpy.terms.errors import ChildError as ChildError
    from otpy.terms.errors import ClusterNotReady as ClusterNotReady
    from otpy.terms.errors import Ignored as Ignored
    from otpy.terms.errors import NameTaken as NameTaken
    from otpy.terms.errors import NodeError as NodeError
    from otpy.terms.errors import NodeForked as NodeForked
    from otpy.terms.errors import NodeNameTaken as NodeNameTaken
    from otpy.terms.errors import NodeStopped as NodeStopped
    from otpy.terms.errors import NoProcess as NoProcess
    from otpy.terms.errors import NotAName as NotAName
    from otpy.terms.errors import NotDistributed as NotDistributed
    from otpy.terms.errors import NotRegistered as NotRegistered
    from otpy.terms.errors import NotSendable as NotSendable
    from otpy.terms.errors import NotSimulated as NotSimulated
    from otpy.terms.errors import OtpyError as OtpyError
    from otpy.terms.errors import ProcessExit as ProcessExit
    from otpy.terms.errors import QuorumError as QuorumError
    from otpy.terms.errors import ReceiveTimeout as ReceiveTimeout
    from otpy.terms.errors import RemoteError as RemoteError
    from otpy.terms.errors import RemoteTimeout as RemoteTimeout
    from otpy.terms.errors import StartError as StartError
    from otpy.terms.errors import WeakCookie as WeakCookie
    from otpy.terms.errors import WouldBlockLoop as WouldBlockLoop
    from otpy.terms.messages import Down as Down
    from otpy.terms.messages import Exit as Exit
    from otpy.terms.messages import GroupJoin as GroupJoin
    from otpy.terms.messages import GroupLeave as GroupLeave
    from otpy.terms.messages import NameFree as NameFree
    from otpy.terms.messages import NodeDown as NodeDown
    from otpy.terms.messages import NodeUp as NodeUp
    from otpy.terms.messages import Response as Response
    from otpy.terms.messages import SpawnReply as SpawnReply
    from otpy.terms.messages import Timeout as Timeout
    from otpy.terms.messages import TimerCancelled as TimerCancelled
    from otpy.terms.messages import TimerFired as TimerFired
    from otpy.terms.messages import TimerRead as TimerRead
    from otpy.terms.names import At as At
    from otpy.terms.names import Global as Global
    from otpy.terms.names import Via as Via
    from otpy.terms.pid import Creation as Creation
    from otpy.terms.pid import Pid as Pid
    from otpy.terms.pid import Ref as Ref
    from otpy.terms.reasons import KILL as KILL
    from otpy.terms.reasons import KILLED as KILLED
    from otpy.terms.reasons import NOCONNECTION as NOCONNECTION
    from otpy.terms.reasons import NOPROC as NOPROC
    from otpy.terms.reasons import NORMAL as NORMAL
    from otpy.terms.reasons import SHUTDOWN as SHUTDOWN
    from otpy.terms.reasons import Crash as Crash


# Written out: type checkers read it.
__all__ = [
    "IGNORE",
    "KILL",
    "KILLED",
    "NOCONNECTION",
    "NOPROC",
    "NORMAL",
    "SHUTDOWN",
    "AddressInUse",
    "Agent",
    "AlreadyRegistered",
    "AlreadyStarted",
    "Application",
    "ApplicationError",
    "ApplicationSpec",
    "At",
    "BadArgument",
    "BadChildSpec",
    "BadFlags",
    "Busy",
    "CallExit",
    "CallResult",
    "CallTimeout",
    "ChildError",
    "ChildSpec",
    "ClusterNotReady",
    "ClusterReady",
    "Crash",
    "Creation",
    "Dns",
    "Done",
    "Down",
    "DynamicSupervisor",
    "Exit",
    "Exited",
    "From",
    "GenServer",
    "GenStatem",
    "Global",
    "Gossip",
    "GroupJoin",
    "GroupLeave",
    "Ignored",
    "InitResult",
    "LocalDirectory",
    "NameFree",
    "NameTaken",
    "Next",
    "NoProcess",
    "NoReply",
    "Node",
    "NodeDown",
    "NodeError",
    "NodeForked",
    "NodeNameTaken",
    "NodeStopped",
    "NodeUp",
    "NotAName",
    "NotDistributed",
    "NotRegistered",
    "NotSendable",
    "NotSimulated",
    "Ok",
    "OtpyError",
    "PartitionSupervisor",
    "Pid",
    "ProcessExit",
    "QuorumError",
    "ReceiveTimeout",
    "Ref",
    "RemoteError",
    "RemoteTimeout",
    "Reply",
    "Request",
    "Response",
    "SpawnReply",
    "StartError",
    "Static",
    "Stop",
    "Supervisor",
    "Task",
    "TaskSupervisor",
    "Timeout",
    "TimerCancelled",
    "TimerFired",
    "TimerRead",
    "Via",
    "WeakCookie",
    "WouldBlockLoop",
    "actor_ref",
    "agent",
    "aio",
    "application",
    "asgi",
    "cluster_ready",
    "discovery",
    "dynamic_supervisor",
    "erpc",
    "gen_server",
    "gen_statem",
    "global_",
    "hours",
    "make_ref",
    "minutes",
    "node",
    "partition_supervisor",
    "pg",
    "process",
    "pykka_child",
    "registry",
    "rpc",
    "seconds",
    "self_pid",
    "start_mesh",
    "start_node",
    "supervisor",
    "sys",
    "task",
    "task_supervisor",
    "timer",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _MODULES:
        value: Any = import_module(_MODULES[name])
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'otpy' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

"""What the machines of names and of locks ask of their driver: to hear of ends of processes."""

from dataclasses import dataclass

from otpy.terms.pid import Pid


@dataclass(slots=True)
class Watch:
    """Tell me when this process ends: it has something here, or waits for it."""

    pid: Pid


@dataclass(slots=True)
class Unwatch:
    """This process has nothing here any more, and waits for nothing."""

    pid: Pid

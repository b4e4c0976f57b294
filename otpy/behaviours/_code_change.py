"""``sys.change_code``: another class takes over the state of a suspended process."""

from typing import TYPE_CHECKING, Any

from otpy.behaviours.results import Ok, Stop
from otpy.terms.errors import OtpyError

if TYPE_CHECKING:
    from otpy.behaviours.gen_server import GenServer


class CodeChangeRefused(OtpyError):
    """The process stays as it is; ``reason`` goes to whoever asked for the change."""

    def __init__(self, reason: Any) -> None:
        super().__init__(str(reason))
        self.reason = reason


def made(module: "type[GenServer[Any]]") -> "GenServer[Any]":
    """An object of the class."""
    return module()


def changed(
    old: "GenServer[Any]", module: type[Any], old_vsn: Any, state: Any, extra: Any
) -> tuple["GenServer[Any]", Any]:
    """The object with the new callbacks, and the state as it wants it.

    It gets what the old one keeps in its attributes. Raises ``CodeChangeRefused``.
    """
    from otpy.behaviours.gen_server import GenServer

    wanted: Any = module  # checked, a class loses the type of its servers' state
    if not issubclass(module, GenServer):
        raise CodeChangeRefused(("bad_module", f"{module!r} is not a GenServer class"))
    if module.is_async is not type(old).is_async:
        why = f"{module.__qualname__} has async callbacks where the process has none, or otherwise"
        raise CodeChangeRefused(("bad_module", why))
    new: GenServer[Any] = made(wanted)
    vars(new).update(vars(old))
    result: Any = new.code_change(old_vsn, state, extra)
    accepted: Any = result
    if isinstance(result, Ok):
        return new, accepted.state
    if isinstance(result, Stop):
        raise CodeChangeRefused(result.reason)
    raise CodeChangeRefused(("bad_return_value", result))

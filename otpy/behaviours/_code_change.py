"""``sys.change_code``: another class takes over the state of a suspended process."""

from typing import TYPE_CHECKING, Any

from otpy.terms.errors import OtpyError

if TYPE_CHECKING:
    from otpy.behaviours._module import CallbackModule


class CodeChangeRefused(OtpyError):
    """The process stays as it is; ``reason`` goes to whoever asked for the change."""

    def __init__(self, reason: Any) -> None:
        super().__init__(str(reason))
        self.reason = reason


def successor(
    old: "CallbackModule", module: "type[CallbackModule]", behaviour: "type[CallbackModule]"
) -> Any:
    """An object of the class that takes over; it gets what the old one keeps in its attributes.

    Raises ``CodeChangeRefused`` for a class of another behaviour, or of another kind of process.
    """
    if not issubclass(module, behaviour):
        raise CodeChangeRefused(("bad_module", f"{module!r} is not a {behaviour.__name__} class"))
    if module.is_async is not type(old).is_async:
        why = f"{module.__qualname__} has async callbacks where the process has none, or otherwise"
        raise CodeChangeRefused(("bad_module", why))
    new = module()
    vars(new).update(vars(old))
    return new

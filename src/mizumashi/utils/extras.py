"""Libraries that not every installation has."""

from importlib import import_module
from types import ModuleType

from mizumashi.errors import InputError


def optional(module: str, extra: str, purpose: str) -> ModuleType:
    """Import a library that an extra of the package brings.

    Args:
        module: what to import.
        extra: the extra's name.
        purpose: what it is for, as the message says it.

    Raises:
        InputError: it is not installed.

    Example:
        >>> optional("json", "hub", "reading JSON").__name__
        'json'
        >>> optional("no_such_library", "hub", "flying")
        Traceback (most recent call last):
            ...
        mizumashi.errors.InputError: found no library no_such_library; flying needs it: pip install 'mizumashi[hub]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise  # it is there, and damaged
        raise InputError(
            f"found no library {error.name}; {purpose} needs it: pip install 'mizumashi[{extra}]'"
        ) from error

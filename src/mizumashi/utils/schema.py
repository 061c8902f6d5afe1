"""Configurations and records as their annotations say: types, words and ranges, one rule wherever a value comes from.

A configuration checks itself when it is made, be it by Python, from JSON or by the command line.
"""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from mizumashi.errors import InputError, nearest

Kind = TypeVar("Kind")

Ranges = Mapping[str, tuple[float, float]]
"""The least and the greatest value of numbers, by field; of a tuple, of each member."""


def require_fields(value: Any, ranges: Ranges | None = None, *, options: bool = False) -> None:
    """Raise `InputError` unless each field of a dataclass holds what its annotation and its range allow.

    Checked are int, float (an int is one), bool, str, Literal, None, unions, tuples (a list is one), dicts and other
    dataclasses.

    Args:
        value: an instance of a dataclass.
        ranges: of its numbers; nan is in none.
        options: whether its fields are options of the command line, which the message then names.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Config:
        ...     steps: int = 1
        ...     schedule: Literal["constant", "decay"] = "constant"
        >>> require_fields(Config(steps=8), {"steps": (1, 9)})
        >>> require_fields(Config(schedule="cosine"))
        Traceback (most recent call last):
            ...
        mizumashi.errors.InputError: found schedule 'cosine'; expected 'constant' or 'decay'
    """
    kind: Any = type(value)
    for name, hint in _hints(kind).items():
        found, option = getattr(value, name), f" (--{name.replace('_', '-')})" if options else ""
        if not _fits(found, hint):
            hinted = nearest(found, _words(hint)) if isinstance(found, str) else ""
            raise InputError(f"found {name} {found!r:.100}{hinted}; expected {_named(hint)}{option}")
        if ranges is None or name not in ranges or found is None:
            continue
        least, most = ranges[name]
        for number in found if isinstance(found, tuple | list) else (found,):
            if not least <= number <= most:  # true for nan, too
                raise InputError(f"found {name} {number}; expected {least} to {most}{option}")


def to_json(value: Any) -> dict[str, Any]:
    """A dataclass as JSON reads it back: objects by field name, lists for tuples.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Config:
        ...     widths: tuple[int, ...] = (1, 2)
        >>> to_json(Config())
        {'widths': [1, 2]}
    """
    made: dict[str, Any] = _listing(asdict(value))
    return made


def _listing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _listing(each) for key, each in value.items()}
    return [_listing(each) for each in value] if isinstance(value, tuple | list) else value


def from_json(kind: type[Kind], value: Any) -> Kind:
    """A dataclass from what `to_json` made of it; fields that are missing have their default.

    Raises:
        ValueError: a field is unknown, missing without a default, or of another kind than its annotation says.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Config:
        ...     widths: tuple[int, ...] = (1, 2)
        >>> from_json(Config, {"widths": [3, 4]})
        Config(widths=(3, 4))
    """
    made: Kind = _made(kind, value, kind.__name__)
    return made


def _made(hint: Any, value: Any, where: str) -> Any:
    """The value that JSON holds as the annotation has it: lists become tuples, objects dataclasses."""
    if is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise ValueError(f"{where} is no object")
        hints = _hints(hint)
        if unknown := set(value) - set(hints):
            raise ValueError(f"{where} has a field {min(unknown)!r}, which nothing knows")
        needed = {one.name for one in fields(hint) if one.default is MISSING and one.default_factory is MISSING}
        if missing := needed - set(value):
            raise ValueError(f"{where} has no {min(missing)}")
        try:
            made = hint(**{name: _made(hints[name], each, f"{where}.{name}") for name, each in value.items()})
            require_fields(made)
        except InputError as error:  # it speaks of options; in JSON there are none
            raise ValueError(f"{where}: {error}") from error
        return made
    arguments = get_args(hint)
    if get_origin(hint) is tuple and isinstance(value, list):
        each = [arguments[0]] * len(value) if arguments[-1] is ... else arguments
        if len(each) != len(value):
            raise ValueError(f"{where} has {len(value)} members")
        return tuple(_made(*pair, f"{where}.{place}") for place, pair in enumerate(zip(each, value, strict=True)))
    if get_origin(hint) is dict and isinstance(value, dict):
        return {key: _made(arguments[1], each, f"{where}.{key}") for key, each in value.items()}
    if get_origin(hint) in (Union, UnionType) and isinstance(value, dict):
        return _made(next((one for one in arguments if is_dataclass(one)), Any), value, where)
    return value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    found = get_type_hints(kind)
    return {each.name: found[each.name] for each in fields(kind)}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is what an annotation says."""
    of, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if of is Literal:
        return isinstance(value, str) and value in arguments
    if of in (Union, UnionType):
        return any(_fits(value, each) for each in arguments)
    if of is tuple:
        if not isinstance(value, tuple | list):
            return False
        each = [arguments[0]] * len(value) if arguments[-1] is ... else arguments
        return len(value) == len(each) and all(map(_fits, value, each))
    if of is dict:
        key, member = arguments
        return isinstance(value, dict) and all(_fits(each, key) and _fits(value[each], member) for each in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is hint if hint in (int, bool, str, NoneType) else isinstance(value, hint)


def _words(hint: Any) -> list[str]:
    """The words that an annotation allows."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [word for each in get_args(hint) for word in _words(each)]


def _named(hint: Any) -> str:
    """An annotation in words."""
    of, arguments = get_origin(hint), get_args(hint)
    if of is Literal:
        return _listed(map(repr, arguments))
    if of in (Union, UnionType):
        return _listed(map(_named, arguments))
    if of is tuple:
        count = "" if arguments[-1] is ... else f"{len(arguments)} of "
        return f"{count}{_named(arguments[0])} each, in a tuple"
    names = {int: "a whole number", float: "a number", bool: "True or False", str: "text", NoneType: "None"}
    return names.get(hint, f"a {getattr(hint, '__name__', hint)}")


def _listed(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last

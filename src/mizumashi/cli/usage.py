"""What is wrong with a command line that tyro has refused, in one line where tyro prints a box.

Tyro alone decides what is right. This looks for the reason in the dataclasses that are the commands, and in
nothing of tyro's that may change.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from tyro.conf import Positional

from mizumashi.errors import nearest


def explain(arguments: Sequence[str], commands: Mapping[str, type], refusal: str) -> str:
    """Say what was found and what was expected.

    Args:
        arguments: the words that were refused.
        commands: each command's dataclass.
        refusal: what tyro printed; quoted where no reason is found here.

    Example:
        >>> @dataclass
        ... class Wash:
        ...     out: Path
        ...     degrees: int = 30
        >>> explain(["wash", "--degrees", "hot"], {"wash": Wash}, "")
        "found 'hot' for --degrees; expected a whole number; see `mizumashi wash --help`"
        >>> explain(["wahs"], {"wash": Wash}, "")
        "found 'wahs' (did you mean 'wash'?); expected a command: wash; see `mizumashi --help`"
    """
    if not arguments or arguments[0] not in commands:
        found = f"{arguments[0]!r}{nearest(arguments[0], commands)}" if arguments else "no command"
        return f"found {found}; expected a command: {', '.join(commands)}; see `mizumashi --help`"
    known = {option.name: option for option in _options(commands[arguments[0]])}
    quoted = " ".join(re.findall(r"[^\s╭╮╰╯│─|+]+", refusal))
    # A configuration checks itself, and says what it found.
    own = re.search(r"found .*; expected .*?(?= -{9}| For full helptext|$)", quoted)
    reason = _reason(arguments[1:], known) or (own[0] if own else None)
    reason = reason or f"found a command line that does not fit ({quoted}); expected another"
    return f"{reason}; see `mizumashi {arguments[0]} --help`"


@dataclass(frozen=True)
class _Option:
    """What the command line may say for one field; `kind` is the type of each value."""

    name: str
    kind: Any
    least: int
    most: int
    positional: bool
    required: bool

    @property
    def choices(self) -> tuple[str, ...]:
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @property
    def expected(self) -> str:
        kinds = {int: "a whole number", float: "a number", Path: "a path", str: "a name or path"}
        each = f"one of {', '.join(self.choices)}" if self.choices else kinds.get(self.kind, "a value")
        return each if self.least < 2 else f"{self.least} values, each {each}"

    def complaint(self, values: Sequence[str]) -> str | None:
        if len(values) < self.least:
            count = f"{len(values) or 'no'} value{'s' * (len(values) > 1)}"
            return f"found {count} after {self.name}; expected {self.expected}"
        for value in values:
            if not self._takes(value):
                return f"found {value!r} for {self.name}{nearest(value, self.choices)}; expected {self.expected}"
        return None

    def _takes(self, value: str) -> bool:
        if self.kind not in (int, float):
            return not self.choices or value in self.choices
        try:
            self.kind(value)
        except ValueError:
            return False
        return True


def _options(command: type) -> Iterator[_Option]:
    """The fields, those of a nested configuration among them."""
    hints = get_type_hints(command, include_extras=True)
    for field in fields(command):
        hint = hints[field.name]
        kind, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        if is_dataclass(kind):
            yield from _options(kind)  # type: ignore[arg-type]
            continue
        kinds = get_args(kind)
        if NoneType in kinds:
            kind = next(each for each in kinds if each is not NoneType)
        least, most = 1, 1
        if get_origin(kind) is tuple:
            kind = kinds[0]
            least, most = (0, sys.maxsize) if kinds[-1] is ... else (len(kinds), len(kinds))
        positional = Positional in extras
        metavars = [extra.metavar for extra in extras if getattr(extra, "metavar", None)]
        flag = f"--{field.name.replace('_', '-')}"
        required = field.default is MISSING and field.default_factory is MISSING
        if kind is bool:
            yield from (_Option(name, bool, 0, 0, False, False) for name in (flag, f"--no-{flag[2:]}"))
            continue
        yield _Option(metavars[0] if metavars else flag, kind, least, most, positional, required)


def _reason(words: Sequence[str], known: Mapping[str, _Option]) -> str | None:
    """The first thing that is wrong, from left to right; then what is missing."""
    flags = [name for name, option in known.items() if not option.positional]
    given: dict[str, list[str]] = {}
    loose: list[str] = []
    flag = ""
    for word in words:
        if re.match("--?[A-Za-z]", word):
            name, equals, value = word.partition("=")
            flag = name.replace("_", "-")
            if flag not in flags:
                return f"found option {name}{nearest(name, flags)}; expected an option of this command"
            given[flag] = [value] if equals else []
        elif flag and len(given[flag]) < known[flag].most:
            given[flag].append(word)
        else:
            loose.append(word)
    places = [option for option in known.values() if option.positional]
    for place in places:
        if loose:
            given[place.name] = loose[: place.most]
            loose = loose[place.most :]
    for name, values in given.items():
        if complaint := known[name].complaint(values):
            return complaint
    if loose:
        return f"found {loose[0]!r} left over; expected only {' '.join(place.name for place in places)} and options"
    missing = [option for name, option in known.items() if option.required and name not in given]
    found = " and ".join(f"no {option.name}" for option in missing)
    expected = " and ".join(f"{option.name} ({option.expected})" for option in missing)
    return f"found {found}; expected {expected}" if missing else None

"""Descriptions of work in folders: what differs between the one that is there and the one wanted now."""

from collections.abc import Collection, Mapping
from typing import Any


def differences(there: Mapping[str, Any], here: Mapping[str, Any], ignore: Collection[str] = ()) -> list[str]:
    """The keys whose values differ, through nested mappings, in words.

    Args:
        there: the description that was read from a folder.
        here: the description wanted now.
        ignore: keys that may differ, with all below them; nested ones with dots, as "images.name".

    Returns:
        One phrase for each differing key, those of `here` first; empty when nothing differs.

    Example:
        >>> there, here = {"config": {"seed": 0, "steps": 6}, "by": "me"}, {"config": {"seed": 1, "steps": 6}}
        >>> differences(there, here)
        ['config.seed is 0 there and 1 here', "by is 'me' there and missing here"]
        >>> differences(there, here, ignore=["config.seed", "by"])
        []
    """
    found = []
    for key in [*here, *(key for key in there if key not in here)]:
        if key in ignore:
            continue
        if key in there and key in here and isinstance(there[key], Mapping) and isinstance(here[key], Mapping):
            below = [path.removeprefix(f"{key}.") for path in ignore if path.startswith(f"{key}.")]
            found += [f"{key}.{phrase}" for phrase in differences(there[key], here[key], below)]
        elif key not in there or key not in here or there[key] != here[key]:
            found.append(f"{key} is {_shown(there, key)} there and {_shown(here, key)} here")
    return found


def _shown(description: Mapping[str, Any], key: str) -> str:
    return repr(description[key]) if key in description else "missing"

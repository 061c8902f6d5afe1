"""The command that repeats a study, from its plan."""

import shlex
from collections.abc import Iterator
from dataclasses import fields, replace

from mizumashi.gan.config import GanConfig
from mizumashi.gan.presets import PRESETS
from mizumashi.studies.config import Regime, StudyConfig
from mizumashi.studies.plan import recipes_of
from mizumashi.studies.record import PlanRecord

UNNAMED = ("IMAGES", "TARGET")
"""What stands for a source and a target that were given as arrays: they have no name."""


def repeating_command(plan: PlanRecord) -> str:
    """`mizumashi study` with the options that differ from the defaults, quoted for a shell.

    The precision is always named, because what "auto" takes depends on the machine. The images of a study that was
    given arrays stand as IMAGES and TARGET.

    Args:
        plan: what plan.json holds.
    """
    config = plan.config
    source, target = plan.origins
    words = ["mizumashi", "study", _image_set(source, UNNAMED[0])]
    if plan.target:
        words += ["--target", _image_set(target, UNNAMED[1])]
    if recipes_of(replace(config, recipes=())) == recipes_of(config):
        config = replace(config, recipes=())
    elif len(config.recipes) > 1:  # every study has real images
        config = replace(config, recipes=config.recipes[1:])
    words += [*_study_options(config), *_gan_options(config.gan)]
    return shlex.join(words)


def _image_set(origin: str | None, unnamed: str) -> str:
    """What names a set on the command line; one that begins like an option still is a path."""
    return f"./{origin}" if origin and origin.startswith("-") else origin or unnamed


def _study_options(config: StudyConfig) -> Iterator[str]:
    default = StudyConfig()
    for field in fields(StudyConfig):
        if field.name not in ("gan", "regime"):
            yield from _option(field.name, getattr(config, field.name), getattr(default, field.name))
    for field in fields(Regime):
        yield from _option(field.name, getattr(config.regime, field.name), getattr(default.regime, field.name))


def _gan_options(config: GanConfig) -> list[str]:
    """The preset that leaves the fewest options to name, and those."""

    def options(name: str) -> list[str]:
        preset = PRESETS[name]()
        words = [] if name == "paper" else ["--preset", name]
        for field in fields(GanConfig):
            wanted, usual = getattr(config, field.name), getattr(preset, field.name)
            if field.name == "snapshots" and wanted == replace(config, snapshots=()).stages:
                wanted = ()
            words += _option(field.name, wanted, usual)
        return words

    return min(map(options, PRESETS), key=len)


def _option(name: str, value: object, default: object) -> Iterator[str]:
    """An option's words, if its value is not the default."""
    if value == default:
        return
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        yield option if value else f"--no-{option[2:]}"
    elif isinstance(value, tuple):
        yield from (option, *map(str, value))
    else:
        yield from (option, str(value))

"""How a training set is made."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mizumashi.errors import InputError

HALF = 0.5
"""The share of generated images where a recipe names none (the paper, section 5)."""

SPELLINGS = "real, gan@300, gan@300..2400, real+gan@300, real+gan@300:0.25, real+smote, and each with +classical"

_GENERATED = re.compile(r"gan@(?P<first>\d{1,9})(?:\.\.(?P<last>\d{1,9}))?(?::(?P<share>[01]?\.\d{1,4}))?")


@dataclass(frozen=True)
class Recipe:
    """What a training set is made of.

    Args:
        real: whether real images take part.
        stages: the first and the last of the snapshots whose images take part, blended in equal parts; None for none.
        share: of the generated or synthetic images, where real ones take part, too; above 0 and below 1.
        smote: whether images between real neighbours of a class take part (Chawla et al. 2002).
        classical: whether every image is shifted, turned and degraded anew each time that it is shown.

    Raises:
        InputError: nothing takes part, or parts do not go together.

    Source:
        The paper's models: 1 is `real`, 2 to 5 are `gan@STEP`, 6 to 9 are `real+gan@STEP` (section 5).

    Example:
        >>> Recipe.parse("real+gan@300")
        Recipe(real=True, stages=(300, 300), share=0.5, smote=False, classical=False)
        >>> str(Recipe(real=True, stages=(300, 2400), share=0.25, classical=True))
        'real+gan@300..2400:0.25+classical'
    """

    real: bool = False
    stages: tuple[int, int] | None = None
    share: float = HALF
    smote: bool = False
    classical: bool = False

    def __post_init__(self) -> None:
        if not self.real and self.stages is None:
            raise InputError(f"found a recipe without images; expected one such as {SPELLINGS}")
        if self.smote and (not self.real or self.stages):
            raise InputError("found smote beside other than real images; expected real+smote: it needs real neighbours")
        if self.stages is not None and self.stages[0] > self.stages[1]:
            raise InputError(f"found stages {self.stages[0]}..{self.stages[1]}; expected the earlier one first")
        if not 0 < self.share < 1:
            raise InputError(f"found a share of {self.share}; expected more than 0 and less than 1")
        if not self.mixed and self.share != HALF:
            raise InputError(f"found a share of {self.share} without real images; expected a share only in a mixture")

    @classmethod
    def parse(cls, text: str) -> "Recipe":
        """Read a recipe's spelling.

        Raises:
            InputError: the text is no recipe.
        """
        parts = text.split("+")
        real, smote, classical = (name in parts for name in ("real", "smote", "classical"))
        others = [part for part in parts if part not in ("real", "smote", "classical")]
        match = _GENERATED.fullmatch(others[0]) if others else None
        if len(others) > 1 or (others and not match) or len(set(parts)) < len(parts):
            raise InputError(f"found recipe {text!r}; expected one such as {SPELLINGS}")
        if match is None:
            return cls(real, smote=smote, classical=classical)
        first = int(match["first"])
        last = int(match["last"]) if match["last"] else first
        share = float(match["share"]) if match["share"] else HALF
        return cls(real, (first, last), share, smote, classical)

    @property
    def mixed(self) -> bool:
        """Whether real images and others take part."""
        return self.real and (self.smote or self.stages is not None)

    def steps(self, stages: Sequence[int]) -> list[int]:
        """The snapshots that take part, of those that there are.

        Raises:
            InputError: the recipe names one that there is not.

        Example:
            >>> Recipe.parse("gan@300..1200").steps([300, 600, 1200, 2400])
            [300, 600, 1200]
        """
        if self.stages is None:
            return []
        if missing := [step for step in self.stages if step not in stages]:
            raise InputError(
                f"found stage {missing[0]} in recipe {self}; expected one of "
                f"{', '.join(map(str, stages))} (--snapshots)"
            )
        return [step for step in stages if self.stages[0] <= step <= self.stages[1]]

    def __str__(self) -> str:
        parts = ["real"] if self.real else []
        if self.stages is not None:
            first, last = self.stages
            generated = f"gan@{first}" if first == last else f"gan@{first}..{last}"
            parts.append(generated if self.share == HALF else f"{generated}:{self.share:g}")
        parts += ["smote"] if self.smote else []
        parts += ["classical"] if self.classical else []
        return "+".join(parts)


REAL = Recipe(real=True)
CLASSICAL = Recipe(real=True, classical=True)


def paper_recipes(stages: Sequence[int]) -> list[Recipe]:
    """The paper's nine models, for any stages: real, each stage alone, each stage mixed with real.

    Example:
        >>> [str(recipe) for recipe in paper_recipes((300, 600))]
        ['real', 'gan@300', 'gan@600', 'real+gan@300', 'real+gan@600']
    """
    alone = [Recipe(stages=(step, step)) for step in stages]
    mixed = [Recipe(real=True, stages=(step, step)) for step in stages]
    return [REAL, *alone, *mixed]


def balancing_recipes(stages: Sequence[int]) -> list[Recipe]:
    """What can bring each class to the size of the largest: images of each stage, or synthetic ones.

    Example:
        >>> [str(recipe) for recipe in balancing_recipes((300, 600))]
        ['real+gan@300', 'real+gan@600', 'real+smote']
    """
    return [*(Recipe(real=True, stages=(step, step)) for step in stages), Recipe(real=True, smote=True)]


def candidates(stages: Sequence[int], shares: Sequence[float] = (0.25, HALF, 0.75)) -> list[Recipe]:
    """What a study chooses from: stage, share, and classical or not; the plainest first.

    Example:
        >>> len(candidates((300, 600, 1200, 2400)))
        26
    """
    mixed = [Recipe(real=True, stages=(step, step), share=share) for step in stages for share in shares]
    return [REAL, CLASSICAL, *mixed, *(Recipe(True, each.stages, each.share, classical=True) for each in mixed)]

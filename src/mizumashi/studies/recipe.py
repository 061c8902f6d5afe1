"""How a training set is made."""

import re
from dataclasses import dataclass

from mizumashi.errors import InputError

_SPELLING = re.compile(r"(?P<real>real)?(?(real)(?:\+gan@(?P<mixed>\d+))?|gan@(?P<alone>\d+))")


@dataclass(frozen=True)
class Recipe:
    """Real images, generated images of one stage, or both in equal parts.

    Args:
        real: whether real images take part.
        step: the snapshot that draws the generated images; None for none.

    Raises:
        InputError: nothing takes part.

    Source:
        The paper's models: 1 is `real`, 2 to 5 are `gan@STEP`, 6 to 9 are `real+gan@STEP` (section 5).

    Example:
        >>> Recipe.parse("real+gan@300")
        Recipe(real=True, step=300)
        >>> str(Recipe(real=False, step=2400))
        'gan@2400'
    """

    real: bool
    step: int | None

    def __post_init__(self) -> None:
        if not self.real and self.step is None:
            raise InputError("found a recipe without images; expected real ones, generated ones or both")

    @classmethod
    def parse(cls, text: str) -> "Recipe":
        """Read a recipe's spelling.

        Raises:
            InputError: the text is no recipe.
        """
        match = _SPELLING.fullmatch(text)
        if match is None:
            raise InputError(f"found recipe {text!r}; expected real, gan@STEP or real+gan@STEP")
        step = match["mixed"] or match["alone"]
        return cls(match["real"] is not None, int(step) if step else None)

    def __str__(self) -> str:
        parts = (["real"] if self.real else []) + ([f"gan@{self.step}"] if self.step is not None else [])
        return "+".join(parts)


def paper_recipes(snapshots: tuple[int, ...]) -> list[Recipe]:
    """The paper's nine models, for any snapshots: real, each stage alone, each stage mixed with real.

    Example:
        >>> [str(recipe) for recipe in paper_recipes((300, 600))]
        ['real', 'gan@300', 'gan@600', 'real+gan@300', 'real+gan@600']
    """
    alone = [Recipe(real=False, step=step) for step in snapshots]
    mixed = [Recipe(real=True, step=step) for step in snapshots]
    return [Recipe(real=True, step=None), *alone, *mixed]

"""Names of unknown origin on a terminal and in Markdown."""

import re
import unicodedata
from collections.abc import Sequence

_MARKUP = re.compile(
    r"[|<`*~$\[\]]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # an underscore inside a word is no emphasis
    r"|&(?=#?\w+;)"  # an entity begins
    r"|\\(?=[!-/:-@\[-`{-~]|$)"  # a backslash would hide the next sign
)
"""What Markdown would take for markup."""


def visible(text: str) -> str:
    r"""Write control characters as escapes: harmless on a terminal, and one line.

    Example:
        >>> print(visible("a\x1b[31m\nb"))
        a\x1b[31m\nb
    """
    hidden = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return "".join(
        letter.encode("unicode_escape").decode() if unicodedata.category(letter) in hidden else letter
        for letter in text
    )


def legible(text: str) -> str:
    r"""Make a name safe for Markdown: it renders as the same text, and control characters as escapes.

    As little as possible is escaped, because tables are also read unrendered.

    Example:
        >>> print(legible("real+gan@300"), legible("snake_case"), legible("0.915 ± 0.007"))
        real+gan@300 snake_case 0.915 ± 0.007
        >>> print(legible("a|b <i> _c_"))
        a\|b \<i> \_c\_
    """
    return _MARKUP.sub(r"\\\g<0>", visible(text))


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of plain text; the first column to the left, the others to the right.

    Example:
        >>> print(markdown(["recipe", "mnist"], [["real", "0.915"]]))
        | recipe | mnist |
        |:---|---:|
        | real | 0.915 |
    """
    rule = "|" + "|".join([":---", *["---:"] * (len(head) - 1)]) + "|"
    text = ["| " + " | ".join(map(legible, line)) + " |" for line in (head, *rows)]
    return "\n".join([text[0], rule, *text[1:]])

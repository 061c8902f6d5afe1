"""Text of unknown origin for a terminal, in Markdown and in CSV: one function each, so that it stays text.

HTML is escaped by Jinja, wholly; the YAML head of a dataset card has no text of unknown origin.
"""

import logging
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

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def for_terminal(text: str) -> str:
    r"""Write control characters as escapes: harmless on a terminal, and one line.

    Example:
        >>> print(for_terminal("a\x1b[31m\nb"))
        a\x1b[31m\nb
    """
    hidden = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return "".join(
        letter.encode("unicode_escape").decode() if unicodedata.category(letter) in hidden else letter
        for letter in text
    )


def for_markdown(text: str) -> str:
    r"""Make a name safe for Markdown: it renders as the same text, and control characters as escapes.

    As little as possible is escaped, because tables are also read unrendered.

    Example:
        >>> print(for_markdown("real+gan@300"), for_markdown("snake_case"), for_markdown("0.915 ± 0.007"))
        real+gan@300 snake_case 0.915 ± 0.007
        >>> print(for_markdown("a|b <i> _c_"))
        a\|b \<i> \_c\_
    """
    return _MARKUP.sub(r"\\\g<0>", for_terminal(text))


def for_csv(cell: object) -> object:
    r"""Keep a spreadsheet from computing a cell, and a terminal that shows the table from obeying it.

    Text that begins like a formula gets an apostrophe in front; control characters are written as escapes. Numbers stay
    numbers, negative ones too.

    Example:
        >>> for_csv("=1+1"), for_csv("@SUM(A1)"), for_csv("-2.5"), for_csv(-2.5), for_csv("real+gan@300")
        ("'=1+1", "'@SUM(A1)", '-2.5', -2.5, 'real+gan@300')
    """
    if not isinstance(cell, str):
        return cell
    formula = cell.lstrip().startswith(("=", "+", "-", "@")) and not _NUMBER.fullmatch(cell)
    return f"'{for_terminal(cell)}" if formula else for_terminal(cell)


class Escaping(logging.Filter):
    """Writes what is logged as `for_terminal` does: class names and names of files are part of it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, escaped."""
        record.msg, record.args = for_terminal(record.getMessage()), ()
        return True


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of plain text; the first column to the left, the others to the right.

    Example:
        >>> print(markdown_table(["recipe", "mnist"], [["real", "0.915"]]))
        | recipe | mnist |
        |:---|---:|
        | real | 0.915 |
    """
    rule = "|" + "|".join([":---", *["---:"] * (len(head) - 1)]) + "|"
    text = ["| " + " | ".join(map(for_markdown, line)) + " |" for line in (head, *rows)]
    return "\n".join([text[0], rule, *text[1:]])

"""Text of unknown origin for a terminal, in Markdown, CSV and YAML: one function each, so that it stays text.

HTML is escaped by Jinja, wholly.
"""

import logging
import re
import unicodedata
from collections.abc import Sequence

_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, directions, half letters, ends of lines

_MARKUP = re.compile(
    r"[|<`*~$\[\]]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # an underscore inside a word is no emphasis
    r"|&(?=#?\w+;)"  # an entity begins
    r"|\\(?=[!-/:-@\[-`{-~]|$)"  # a backslash would hide the next sign
    r"|(?<!\S)#"  # begins or ends a heading
    r"|:(?=//)|(?<=\bwww)\.(?=\S)",  # what GitHub makes a link
    re.IGNORECASE,
)
"""What Markdown would take for markup."""

_BLOCK = re.compile(r"^(\d{1,9}(?=[.)](?:\s|$))|(?=>|[-+](?:[\s-]*$|\s)))")
"""What begins a list, a rule or a quotation, as far as the sign that makes it one."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

_FORMULA = re.compile("(^|;)(?=\\s*[=+@\\-\uff1d\uff0b\uff20\uff0d])")
"""Where a spreadsheet begins to compute; in some countries a semicolon parts cells, in others signs are wide."""

_PLAIN = re.compile(r"(?!(true|false|null|yes|no|on|off|y|n)$)[a-z][a-z0-9_-]*", re.IGNORECASE)
"""Text that YAML reads as text without quotes."""


def for_terminal(text: str) -> str:
    r"""Write control characters as escapes: harmless on a terminal, and one line.

    So are bytes of a path that are no text.

    Example:
        >>> print(for_terminal("a\x1b[31m\nb"), for_terminal("b\udcff.npz"))
        a\x1b[31m\nb b\xff.npz
    """
    return "".join(_escape(letter) if unicodedata.category(letter) in _HIDDEN else letter for letter in text)


def _escape(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # how Python holds such a byte
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()


def for_markdown(text: str) -> str:
    r"""Make a name, or a line with names, safe for Markdown: it renders as the same text, controls as escapes.

    As little as possible is escaped, because tables are also read unrendered.

    Example:
        >>> print(for_markdown("real+gan@300"), for_markdown("snake_case"), for_markdown("0.915 ± 0.007"))
        real+gan@300 snake_case 0.915 ± 0.007
        >>> print(for_markdown("a|b <i> _c_"), for_markdown("# d"))
        a\|b \<i> \_c\_ \# d
    """
    shown = for_terminal(text)
    begun, rest = ("&#32;", shown[1:]) if shown.startswith(" ") else ("", shown)  # four spaces begin code
    return begun + _BLOCK.sub(r"\1\\", _MARKUP.sub(r"\\\g<0>", rest), count=1)


def for_csv(cell: object) -> object:
    r"""Keep a spreadsheet from computing a cell, and a terminal that shows the table from obeying it.

    Text that begins like a formula gets an apostrophe in front; control characters are written as escapes. Numbers stay
    numbers, negative ones too.

    Example:
        >>> for_csv("=1+1"), for_csv("@SUM(A1)"), for_csv("-2.5"), for_csv(-2.5), for_csv("real+gan@300")
        ("'=1+1", "'@SUM(A1)", '-2.5', -2.5, 'real+gan@300')
    """
    if not isinstance(cell, str) or _NUMBER.fullmatch(cell):
        return cell
    return for_terminal(_FORMULA.sub(r"\1'", cell))


def for_yaml(text: str) -> str:
    r"""Write a text as YAML reads it back: as it is, if that is plainly a word, or else in quotes.

    Example:
        >>> print(for_yaml("synthetic"), for_yaml("no"), for_yaml("a: b\n---"))
        synthetic "no" "a: b\u000a---"
    """
    if _PLAIN.fullmatch(text):
        return text
    return '"' + "".join(_quoted(letter) for letter in text) + '"'


def _quoted(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    if letter == " " or (letter.isprintable() and ord(letter) <= 0xFFFF):
        return letter
    return f"\\u{ord(letter):04x}" if ord(letter) <= 0xFFFF else f"\\U{ord(letter):08x}"


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

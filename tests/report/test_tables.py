import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from mizumashi.utils.text import for_markdown, for_terminal, markdown_table

# The names of others: markup, line ends, terminal escapes, directions, links, entities, formulas.
HOSTILE = [
    "a|b",
    "<i>cat</i>",
    "`code`",
    "*cat* and **dog**",
    "_cat_ __dog__",
    "[here](https://example.org)",
    "![picture][cat]",
    "&lt;b&gt; &#65;",
    "~~gone~~",
    "\\*",
    "C:\\",
    "\\\x1b",
    "\x1b[2J\r\n\x9b31m\x07",
    "\u202egnp\u2028",
    "<https://example.org>",
]


def rendered(text: str) -> list[str]:
    """The cells of a table as a Markdown reader shows them (markdown-it is independent of ours)."""
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    cells = [token for token in reader.parse(text) if token.type == "inline"]
    return ["".join(shown(token) for token in cell.children or []) for cell in cells]


def shown(token: Token) -> str:
    assert token.type in ("text", "text_special"), f"found markup: {token.type}"
    return token.content


@given(st.text(st.sampled_from('ab |<>&;#*_[]()`~!\\\x1b\n1:/.-=$"水'), max_size=12))
@example("".join(HOSTILE))
def test_a_name_in_a_table_renders_as_itself(name: str):
    shown = for_terminal(name)
    expected = shown[:1] + shown[1:].rstrip()  # what begins with spaces keeps them, lest it be code elsewhere
    assert rendered(markdown_table([name, "n"], [[name, "1"], ["x", name]])) == [
        expected,
        "n",
        expected,
        "1",
        "x",
        expected,
    ]


BLOCKS = [
    "# a #",
    "## b",
    "- a",
    "-",
    "---",
    "- - -",
    "+ a",
    "* a",
    "1. a",
    "12) b",
    "> a",
    "    code",
    "===",
    "~~~",
    "[a]: b",
]


@given(st.text(st.sampled_from("ab #>-+*=_~1.):[]|\\"), max_size=8))
def test_a_line_of_text_begins_nothing(line: str):
    shown = for_terminal(line)
    shown = shown[:1] + shown[1:].rstrip()
    for text, blocks in (("{}", []), ("- {}", ["bullet_list", "list_item"]), ("# {}", [])):
        tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text.format(for_markdown(line)))
        opened = [token.type.removesuffix("_open") for token in tokens if token.nesting == 1]
        inside = [] if not shown and text != "# {}" else ["heading" if text == "# {}" else "paragraph"]
        assert opened == [*blocks, *inside]
        assert rendered(text.format(for_markdown(line))) == ([shown] if inside else [])


@pytest.mark.parametrize("line", [*HOSTILE, *BLOCKS])
def test_hostile_lines_render_as_themselves_in_a_list(line: str):
    assert rendered(f"- {for_markdown(line)}\n- {for_markdown(line)}") == [for_terminal(line)] * 2


@pytest.mark.parametrize("text", ["see https://example.org", "http://a", "ftp://a.b", "www.example.org", "(WWW.a.b)"])
def test_an_address_is_no_link_on_github(text: str):
    """GitHub makes links of bare addresses; markdown-it does not, without a package of its own."""
    shown = for_markdown(text)
    assert not re.search(r"\w://|www\.", shown, re.IGNORECASE)
    assert rendered(shown) == [text]


@pytest.mark.parametrize("name", [*HOSTILE, "a]b", "a[b"])
def test_hostile_names_render_as_themselves_as_the_text_of_a_picture(name: str):
    (paragraph,) = (
        token for token in MarkdownIt().parse(f"![{for_markdown(name)}](map.png)") if token.type == "inline"
    )
    (picture,) = paragraph.children or []
    assert picture.attrs["src"] == "map.png"
    assert "".join(shown(token) for token in picture.children or []) == for_terminal(name)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_render_as_themselves_in_a_heading(name: str):
    assert rendered(f"# Study: {for_markdown(name)} → {for_markdown(name)}") == [
        f"Study: {for_terminal(name)} → {for_terminal(name)}"
    ]


@pytest.mark.parametrize(
    "text",
    ["gan@300", "real+gan@2400", "0.915 ± 0.007", "my_set", "sets/a_b/c-d.npz", "猫", "faxocr (target)"],
)
def test_ordinary_names_and_numbers_look_unchanged(text: str):
    assert for_markdown(text) == text


def test_a_formula_is_escaped():
    """GitHub sets text between dollars as a formula; markdown-it does not know them."""
    assert for_markdown("$x$") == r"\$x\$"


def test_control_characters_become_escapes():
    assert for_terminal("a\x1b[31m\tb\n\x9b\u202e\u2028c\ud800") == r"a\x1b[31m\tb\n\x9b\u202e\u2028c\ud800"
    assert for_terminal("Ünï 水増し 🙂 ± →") == "Ünï 水増し 🙂 ± →"

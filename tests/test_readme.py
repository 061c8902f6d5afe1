"""The Japanese README says what the English one says, as far as that can be told."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENGLISH, JAPANESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ja.md"))


def test_both_have_the_same_code():
    blocks = re.compile(r"^(?:<!-- [^\n]* -->\n)?```.*?^```$", re.DOTALL | re.MULTILINE)
    assert blocks.findall(JAPANESE) == blocks.findall(ENGLISH)


def test_both_have_the_same_numbers_and_names_in_their_tables():
    rows = re.compile(r"^\|.*$(?!\n\|:--)", re.MULTILINE)  # but for the headings
    assert rows.findall(JAPANESE) == rows.findall(ENGLISH)
    assert len(rows.findall(ENGLISH)) > 10


def test_both_have_the_same_headings_links_and_code_in_the_text():
    def outline(text: str) -> tuple[list[str], list[str], list[set[str]]]:
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
        sections = re.split(r"^#+ ", prose, flags=re.MULTILINE)
        links = [link for link in re.findall(r"\]\(([^)]+)\)", prose) if not link.startswith("README")]
        return re.findall(r"^#+", prose, re.MULTILINE), links, [set(re.findall(r"`[^`]+`", each)) for each in sections]

    assert outline(JAPANESE) == outline(ENGLISH)


def test_each_leads_to_the_other_and_to_what_is_there():
    assert "](README.ja.md)" in ENGLISH.partition("\n![")[0]
    assert "](README.md)" in JAPANESE.partition("\n![")[0]
    for link in re.findall(r"\]\(([^)#]+)\)", ENGLISH + JAPANESE):
        assert (ROOT / link).exists(), link

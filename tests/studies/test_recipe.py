import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizumashi.errors import InputError
from mizumashi.studies.recipe import Recipe, candidates, paper_recipes


def test_the_papers_nine_models_are_nine_recipes():
    assert [str(recipe) for recipe in paper_recipes((300, 600, 1200, 2400))] == [
        "real",
        "gan@300",
        "gan@600",
        "gan@1200",
        "gan@2400",
        "real+gan@300",
        "real+gan@600",
        "real+gan@1200",
        "real+gan@2400",
    ]


STAGES = st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)).map(lambda pair: (min(pair), max(pair)))
GENERATED = st.builds(Recipe, st.just(False), STAGES, classical=st.booleans())
MIXED = st.builds(
    Recipe, st.just(True), STAGES, st.integers(1, 9999).map(lambda share: share / 10_000), classical=st.booleans()
)
UNMIXED = st.builds(Recipe, st.just(True), smote=st.booleans(), classical=st.booleans())


@given(st.one_of(GENERATED, MIXED, UNMIXED))
def test_every_recipe_is_spelt_and_read_back(recipe: Recipe):
    assert Recipe.parse(str(recipe)) == recipe


@pytest.mark.parametrize(
    ("text", "recipe"),
    [
        ("real", Recipe(real=True)),
        ("gan@300", Recipe(stages=(300, 300))),
        ("real+gan@2400:0.5", Recipe(real=True, stages=(2400, 2400))),
        ("real+gan@1200+classical", Recipe(real=True, stages=(1200, 1200), classical=True)),
        ("real+smote", Recipe(real=True, smote=True)),
        ("gan@300..2400", Recipe(stages=(300, 2400))),
        ("real+gan@300..600:.25", Recipe(real=True, stages=(300, 600), share=0.25)),
    ],
)
def test_the_language(text: str, recipe: Recipe):
    assert Recipe.parse(text) == recipe


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gan",
        "gan@",
        "real+",
        "real+real",
        "gan@-1",
        "Real",
        "classical",
        "smote",
        "gan@1+gan@2",
        "gan@1+smote",
        "gan@2..1",
        "gan@1:0.5:0.5",
        "real+gan@1:0",
        "real+gan@1:1.0",
        "real+gan@1:2",
        "gan@1:0.3",
        "real+gan@1+smote",
    ],
)
def test_what_is_no_recipe_is_refused_in_one_line(text: str):
    with pytest.raises(InputError, match="; expected ") as caught:
        Recipe.parse(text)
    assert "\n" not in str(caught.value)


def test_a_stage_that_was_not_kept_is_refused():
    assert Recipe.parse("gan@2..8").steps([2, 4, 8, 16]) == [2, 4, 8]
    assert Recipe.parse("real+classical").steps([2, 4]) == []
    with pytest.raises(InputError, match=r"found stage 3 in recipe gan@3\.\.8; expected one of 2, 4, 8"):
        Recipe.parse("gan@3..8").steps([2, 4, 8])


def test_candidates_differ_and_begin_with_the_plainest():
    found = candidates((300, 600))
    assert len(set(found)) == len(found) == 2 + 2 * 2 * 3
    assert [str(recipe) for recipe in found[:3]] == ["real", "real+classical", "real+gan@300:0.25"]

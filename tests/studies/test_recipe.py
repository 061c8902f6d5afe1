import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizumashi.errors import InputError
from mizumashi.studies.recipe import Recipe, paper_recipes


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


@given(st.booleans(), st.integers(0, 10**6))
def test_every_recipe_is_spelt_and_read_back(real: bool, step: int):
    recipe = Recipe(real, step)
    assert Recipe.parse(str(recipe)) == recipe


@pytest.mark.parametrize("text", ["", "gan", "gan@", "real+", "real+real", "gan@1+real", "gan@-1", "Real"])
def test_what_is_no_recipe_is_refused(text: str):
    with pytest.raises(InputError, match="expected real, gan@STEP or real"):
        Recipe.parse(text)

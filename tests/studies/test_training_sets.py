import numpy as np
import pytest

from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.studies.recipe import Recipe
from mizumashi.studies.training_sets import Material

COUNTS = (60, 40, 20)
REAL, EARLY, LATE = 10, 20, 30


def images(grey: int, labels: np.ndarray) -> LabelledImages:
    """Images of one grey, so that each tells where it is from."""
    return LabelledImages.from_arrays(np.full((len(labels), 8, 8), grey, np.uint8), labels, ["a", "b", "c"])


def origins(training: LabelledImages) -> dict[int, int]:
    greys, counts = np.unique(training.images[:, 0, 0, 0], return_counts=True)
    return dict(zip(greys.tolist(), counts.tolist(), strict=True))


@pytest.fixture
def material() -> Material:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], COUNTS))
    return Material(7, images(REAL, labels), {300: images(EARLY, labels), 600: images(LATE, labels)}, {})


@pytest.mark.parametrize(
    ("recipe", "wanted"),
    [
        ("real", {REAL: 120}),
        ("real+classical", {REAL: 120}),
        ("gan@600", {LATE: 120}),
        ("gan@300..600", {EARLY: 60, LATE: 60}),
        ("real+gan@300", {REAL: 60, EARLY: 60}),
        ("real+gan@600:0.25+classical", {REAL: 90, LATE: 30}),
        ("real+gan@300..600:0.75", {REAL: 30, EARLY: 45, LATE: 45}),
    ],
)
def test_a_set_is_as_large_as_the_real_one_and_mixed_as_its_recipe_says(
    material: Material, recipe: str, wanted: dict[int, int]
):
    found = material.training_set(Recipe.parse(recipe))
    counts = origins(found)
    assert sum(counts.values()) == 120
    assert set(counts) == set(wanted)
    for origin, count in wanted.items():  # a blend of stages is drawn at random
        assert counts[origin] == pytest.approx(count, abs=12 if ".." in recipe and origin != REAL else 0)
    np.testing.assert_allclose(found.counts, COUNTS, atol=2)


def test_sets_that_grow_keep_all_real_images(material: Material):
    growing = Material(7, material.real, material.generated, {}, grow=True)
    assert origins(growing.training_set(Recipe.parse("real+gan@300"))) == {REAL: 120, EARLY: 120}
    assert origins(growing.training_set(Recipe.parse("real+gan@300:0.25"))) == {REAL: 120, EARLY: 40}
    with pytest.raises(InputError, match=r"expected a share of 0\.5 at most"):
        growing.training_set(Recipe.parse("real+gan@300:0.75"))


def test_balancing_adds_what_each_class_lacks(material: Material):
    drawn = images(EARLY, np.concatenate([material.real.labels, np.repeat([1, 2], [20, 40])]))
    balancing = Material(7, material.real, {300: drawn}, {}, balance=True)
    for recipe in ("real+gan@300", "real+smote"):
        assert balancing.training_set(Recipe.parse(recipe)).counts.tolist() == [60, 60, 60]
    assert origins(balancing.training_set(Recipe.parse("real+gan@300"))) == {REAL: 120, EARLY: 60}
    with pytest.raises(InputError, match="expected real images in every recipe"):
        balancing.training_set(Recipe.parse("gan@300"))


def test_smote_takes_half_of_the_place(material: Material):
    """The real images differ in a pixel and are dark elsewhere; new ones lie between them."""
    pixels = np.random.default_rng(1).integers(0, 256, (120, 8, 8))
    real = LabelledImages.from_arrays(pixels, material.real.labels, material.real.class_names)
    found = Material(7, real, {}, {}).training_set(Recipe.parse("real+smote"))
    known = {image.tobytes() for image in real.images}
    assert sum(image.tobytes() in known for image in found.images) == 60
    np.testing.assert_allclose(found.counts, COUNTS, atol=2)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit

from mizumashi.data.images import LabelledImages
from mizumashi.data.split import mix, stratified_split, stratified_subset
from mizumashi.errors import InputError


def numbered(counts, name="images"):
    """Images whose two pixels spell their index, labels shuffled."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    index = np.arange(len(labels))
    pixels = np.stack([index // 256, index % 256], axis=-1).astype(np.uint8).reshape(-1, 1, 2, 1)
    return LabelledImages(pixels, labels, tuple(f"class {c}" for c in range(len(counts))), name)


def indices(images):
    return (images.images[:, 0, 0, 0].astype(int) * 256 + images.images[:, 0, 1, 0]).tolist()


counts_lists = st.lists(st.integers(2, 40), min_size=2, max_size=6)


@given(counts=counts_lists, share=st.floats(0.01, 0.99), seed=st.integers(0, 2**40))
def test_a_split_loses_nothing_and_keeps_every_class_on_both_sides(counts, share, seed):
    images = numbered(counts)
    split = stratified_split(images, share, seed)
    train, test = indices(split.train), indices(split.test)
    assert sorted(train + test) == list(range(len(images)))
    assert train == sorted(train)
    assert test == sorted(test)
    np.testing.assert_array_equal(split.labels, images.labels[train + test])
    assert split.train.counts.min() >= 1
    assert np.all(np.abs(split.test.counts - share * np.array(counts)) <= 1)
    assert split.test.counts.min() >= 1


def test_a_split_gives_each_class_what_scikit_learn_gives():
    images = numbered([100, 50, 30])
    _, expected = next(StratifiedShuffleSplit(1, test_size=0.2, random_state=0).split(images.labels, images.labels))
    split = stratified_split(images, 0.2, seed=0)
    assert split.test.counts.tolist() == np.bincount(images.labels[expected]).tolist() == [20, 10, 6]


def test_the_seed_decides():
    images = numbered([50, 50])
    first, again, other = (indices(stratified_split(images, 0.2, seed).test) for seed in (0, 0, 1))
    assert first == again != other
    first, again, other = (indices(stratified_subset(images, count=20, seed=seed)) for seed in (0, 0, 1))
    assert first == again != other
    second = numbered([50, 50])
    first, again, other = (indices(mix(images, second, 0.5, 20, seed)) for seed in (0, 0, 1))
    assert first == again != other


def test_every_image_is_equally_likely_to_be_drawn():
    images = numbered([10, 30])
    drawn = np.zeros(40)
    for seed in range(600):
        drawn[indices(stratified_subset(images, count=8, seed=seed))] += 1
    assert np.abs(drawn / 600 - 0.2).max() < 0.08  # five standard deviations of a proportion


@given(counts=counts_lists, data=st.data())
def test_a_subset_keeps_the_classes_shares(counts, data):
    images = numbered(counts)
    count = data.draw(st.integers(len(counts), len(images)))
    subset = stratified_subset(images, count=count, seed=3)
    drawn = indices(subset)
    assert len(subset) == count
    assert drawn == sorted(set(drawn))
    np.testing.assert_array_equal(subset.labels, images.labels[drawn])
    quota = count * np.array(counts) / sum(counts)
    assert subset.counts.min() >= 1
    if quota.min() >= 1:
        assert np.all(np.abs(subset.counts - quota) < 1)


def test_a_subset_of_all_is_all_and_per_class_is_exact():
    images = numbered([5, 9, 3])
    assert indices(stratified_subset(images, count=17, seed=0)) == list(range(17))
    assert stratified_subset(images, per_class=3, seed=0).counts.tolist() == [3, 3, 3]


@given(share=st.floats(0, 1), total=st.integers(1, 60), seed=st.integers(0, 9))
def test_a_mixture_has_the_share_and_the_total_and_repeats_nothing(share, total, seed):
    first, second = numbered([40, 20], "real"), numbered([30, 30], "gan")
    second.images[:, 0, 0, 0] += 100  # tells the sets apart
    mixture = mix(first, second, share, total, seed)
    origin = mixture.images[:, 0, 0, 0] >= 100
    assert len(mixture) == total
    assert origin.sum() == round(share * total)
    assert len(set(indices(mixture))) == total
    for source, here in ((first, ~origin), (second, origin)):
        drawn = np.array(indices(mixture))[here] % 25600
        np.testing.assert_array_equal(mixture.labels[here], source.labels[drawn])
        quota = here.sum() * source.counts / len(source)
        assert np.all(np.abs(np.bincount(mixture.labels[here], minlength=2) - quota) <= 1)


def test_the_papers_mixture_is_half_and_half_shuffled():
    first, second = numbered([300, 300], "real"), numbered([300, 300], "gan")
    second.images[:, 0, 0, 0] += 100
    mixture = mix(first, second, share=0.5, total=600, seed=0)
    assert mixture.name == "real+gan"
    assert mixture.test_start is None
    origin = mixture.images[:, 0, 0, 0] >= 100
    assert origin.sum() == 300
    assert mixture.counts.tolist() == [300, 300]
    assert 120 < origin[:300].sum() < 180  # in any order, not one set after the other


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: stratified_split(numbered([5, 1]), 0.2, 0), "found 1 images of class 'class 1'; expected at least 2"),
        (lambda: stratified_split(numbered([5, 5]), 1.0, 0), "test share of 1.0; expected more than 0 and less"),
        (lambda: stratified_split(stratified_split(numbered([5, 5]), 0.2, 0), 0.2, 0), "give its .train or its"),
        (lambda: stratified_subset(numbered([5, 5]), count=1, seed=0), "expected a count from 2 to 10"),
        (lambda: stratified_subset(numbered([5, 5]), count=11, seed=0), "expected a count from 2 to 10"),
        (lambda: stratified_subset(numbered([5, 3]), per_class=4, seed=0), "found 3 images of class 'class 1'"),
        (lambda: stratified_subset(numbered([5, 3]), per_class=0, seed=0), "expected at least 1"),
        (lambda: stratified_subset(numbered([5, 3]), seed=0), "expected one of them"),
        (lambda: mix(numbered([5, 5]), numbered([5, 5]), 0.5, 21, 0), "found 10 images; expected at least 11"),
        (lambda: mix(numbered([5, 5]), numbered([5, 5]), 1.5, 4, 0), "expected 0 to 1"),
        (lambda: mix(numbered([5, 5]), numbered([5, 5]), 0.5, 0, 0), "expected at least 1"),
        (lambda: mix(numbered([5, 5]), numbered([5, 5, 5]), 0.5, 4, 0), "found class_names"),
        (
            lambda: mix(numbered([5, 5]), stratified_split(numbered([5, 5]), 0.2, 0), 0.5, 4, 0),
            "no test image is drawn by accident",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(call, expected):
    with pytest.raises(InputError) as caught:
        call()
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)

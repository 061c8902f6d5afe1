import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from safetensors.torch import load_file

from mizumashi.api import evaluate, recipe_origin, study, training_set
from mizumashi.classifiers.classical import Classical
from mizumashi.classifiers.score import score
from mizumashi.classifiers.softmax import SoftmaxConfig, train_softmax
from mizumashi.data.images import LabelledImages
from mizumashi.data.npz import read_npz
from mizumashi.data.readers import open_images
from mizumashi.data.split import stratified_split
from mizumashi.errors import InputError
from mizumashi.gan.config import GanConfig, Precision
from mizumashi.gan.run import GanRun
from mizumashi.report.page import draw
from mizumashi.stats.inference import bootstrap_interval
from mizumashi.studies.cell import Cells
from mizumashi.studies.classifiers import softmax
from mizumashi.studies.config import Regime, StudyConfig
from mizumashi.studies.measures import keep_pictures
from mizumashi.studies.plan import Plan, begin
from mizumashi.studies.recipe import Recipe
from mizumashi.studies.results import StudyResult
from mizumashi.studies.training_sets import Material
from mizumashi.utils.progress import silent

TINY = StudyConfig(
    GanConfig(steps=4, snapshots=(2, 4), batch_size=16, latent_size=8, widths=(4, 8, 8), precision="32-true"), seeds=2
)
ROUNDED = replace(TINY, gan=replace(TINY.gan, precision="bf16-mixed"))


@pytest.fixture(scope="module")
def source(blobs: LabelledImages) -> LabelledImages:
    return stratified_split(blobs, 0.5, seed=0).renamed("blobs")


@pytest.fixture(scope="module")
def target(blobs: LabelledImages) -> LabelledImages:
    return replace(blobs, images=255 - blobs.images, name="negatives")


@pytest.fixture(scope="module")
def finished(source: LabelledImages, target: LabelledImages, tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    return study(source, target=target, out=tmp_path_factory.mktemp("studies") / "blobs", config=TINY)


@pytest.fixture(scope="module")
def rounded(source: LabelledImages, target: LabelledImages, tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    """The same in bfloat16."""
    return study(source, target=target, out=tmp_path_factory.mktemp("studies") / "blobs", config=ROUNDED)


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take half of a small study's time."""
    monkeypatch.setattr("mizumashi.report.figures.drawn", lambda figure: {})


def test_a_study_scores_every_recipe_on_every_test_set_for_every_seed(finished: StudyResult):
    assert finished.recipes("softmax") == ["real", "gan@2", "gan@4", "real+gan@2", "real+gan@4"]
    assert finished.tests == ["blobs", "gan@2", "gan@4", "negatives"]
    assert finished.accuracy("softmax").shape == finished.loss("softmax").shape == (5, 4, 2)
    assert {cell.scores["negatives"].count for cell in finished.cells} == {240}


def test_the_kept_sets_mirror_the_source_and_evaluate_agrees(finished: StudyResult, source: LabelledImages):
    for seed in ("0", "1"):
        generated = open_images(finished.path / "runs" / seed / "sets" / "gan@4.npz")
        assert generated.labels.tolist() == source.labels.tolist()
        assert generated.test_start == source.test_start
        with np.load(finished.path / "runs" / seed / "sets" / "gan@4.npz") as archive:
            card = archive["README.md"].decode()
        assert f"| SHA-256 of the real images' contents | {source.train.content_hash()} |" in card
        assert f"| seed of the drawing | {seed} |" in card
    accuracy, loss = evaluate([source], [source])
    assert accuracy[0, 0, 0] == finished.accuracy("softmax")[0, 0, 0] == 1.0
    assert loss[0, 0, 0] == pytest.approx(finished.loss("softmax")[0, 0, 0], rel=0.1)


def test_gans_and_softmax_models_are_trained_in_the_studys_precision(finished: StudyResult, rounded: StudyResult):
    for result, precision in ((finished, "32-true"), (rounded, "bf16-mixed")):
        for run in (result.path / "runs").iterdir():
            assert GanRun(run / "gan").snapshot().precision == precision
        plan = json.loads((result.path / "results.json").read_text())["plan"]
        assert plan["classifiers"][0]["precision"] == plan["gan"]["precision"] == precision
    weights = [
        load_file(result.path / "runs/0/gan/snapshots/step-000004.safetensors") for result in (finished, rounded)
    ]
    assert not torch.equal(*(each["paint.weight"] for each in weights))


def test_the_report_shows_what_the_results_say(finished: StudyResult):
    with (finished.path / "tables" / "accuracy.csv").open(newline="") as file:
        rows = {(row["recipe"], row["test set"]): row for row in csv.DictReader(file)}
    assert len(rows) == 5 * 4
    cells = [json.loads(path.read_text()) for path in (finished.path / "cells").glob("*.json")]
    values = [c["scores"]["negatives"]["accuracy"] for c in cells if c["recipe"] == "gan@4"]
    assert len(values) == 2
    assert float(rows["gan@4", "negatives"]["mean"]) == pytest.approx(np.mean(values), abs=1e-6)
    assert float(rows["gan@4", "negatives"]["standard deviation"]) == pytest.approx(np.std(values, ddof=1), abs=1e-6)
    report = (finished.path / "report.md").read_text()
    assert "not the paper's schedule: steps 4 (paper preset: 2400)" in report
    for name in ("losses", "stages", "map", "sets", "recipes"):
        assert f"figures/{name}.png" in report
        assert (finished.path / "figures" / f"{name}.png").stat().st_size > 1000


@pytest.fixture(scope="module")
def choosing(source: LabelledImages, target: LabelledImages, tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    """A study that chooses, with a scikit-learn classifier beside softmax, a few target images and an imbalance."""
    config = replace(
        TINY,
        recipes=("real+smote", "gan@2..4"),
        classifiers=("softmax", "sklearn.neighbors:KNeighborsClassifier"),
        choose=True,
        regime=Regime(per_class=30, imbalance=("left:0.5",), target_per_class=5),
    )
    return study(source, target=target, out=tmp_path_factory.mktemp("studies") / "choosing", config=config)


def test_a_study_that_chooses_tries_candidates_and_keeps_to_its_test_sets(choosing: StudyResult, blobs: LabelledImages):
    assert choosing.tests == ["blobs", "gan@2", "gan@4", "negatives"]  # the validation part is none
    assert choosing.cells[0].scores["negatives"].count == len(blobs) - 15
    assert choosing.cells[0].scores["validation"].count == 6 + 6 + 3 + 3 * 1
    for classifier in choosing.classifiers:
        choice = choosing.choices[classifier]
        assert choice.tried == 14  # real, real+classical; two stages, three shares, with classical and without
        assert choice.cells == 14 + 2 + 4
        assert choosing.recipes(classifier)[:4] == ["real", "real+classical", "real+smote", "gan@2..4"]
        assert choice.recipe in choosing.recipes(classifier)
    report = (choosing.path / "report.md").read_text()
    assert "## Verdict" in report
    assert "### sklearn.neighbors:KNeighborsClassifier" in report
    assert "- 30 training images of each class, drawn anew for every seed." in report
    verdict = json.loads((choosing.path / "verdict.json").read_text())
    assert [(case["classifier"], case["test"]) for case in verdict["cases"]][:2] == [
        ("softmax", "negatives"),
        ("softmax", "blobs"),
    ]


def test_readings_tell_which_images_were_read_rightly(choosing: StudyResult):
    for classifier in choosing.classifiers:
        right = choosing.right(classifier, "negatives")
        accuracy = choosing.accuracy(classifier)[:, choosing.tests.index("negatives")]
        for row, recipe in enumerate(choosing.recipes(classifier)):
            assert right[recipe].shape == (2, 1, 225)
            np.testing.assert_allclose(right[recipe].mean(axis=(1, 2)), accuracy[row])


@pytest.mark.parametrize(
    "change",
    [
        lambda labels: labels + 1,
        lambda labels: labels - 1,
        lambda labels: labels[None],
        lambda labels: labels[:0],
        lambda labels: labels[:-1],
        lambda labels: labels.astype(float),
    ],
)
def test_labels_that_cannot_be_the_studys_are_refused(finished: StudyResult, tmp_path: Path, change: Any):
    kept = {"test0": change(finished.labels("blobs")), "test1": finished.labels("negatives")}
    np.savez(tmp_path / "labels.npz", **kept)
    damaged = replace(finished, path=tmp_path)
    assert damaged.labels("negatives").tolist() == kept["test1"].tolist()
    with pytest.raises(InputError, match=r"labels\.npz: found other labels than the study's; remove it"):
        damaged.labels("blobs")


@pytest.mark.usefixtures("without_figures")
def test_in_a_study_that_balances_every_class_counts_alike(blobs: LabelledImages, tmp_path: Path):
    few = np.flatnonzero(blobs.labels == 0)[12:]
    unbalanced = stratified_split(blobs.take(np.setdiff1d(np.arange(len(blobs)), few)), 0.5, seed=0).renamed("few")
    noise = np.random.default_rng(0).integers(0, 256, unbalanced.test.images.shape)
    noisy = (0.15 * unbalanced.test.images + 0.85 * noise).astype(np.uint8)
    target = replace(unbalanced.test, images=noisy, name="noisy")
    config = replace(TINY, recipes=("real+smote", "real+gan@4"), regime=Regime(balance=True))
    result = study(unbalanced, target=target, out=tmp_path / "study", config=config)
    accuracy = result.accuracy("softmax")[:, result.tests.index("noisy")]
    right, labels = result.right("softmax", "noisy"), target.labels
    for row, recipe in enumerate(result.recipes("softmax")):
        of_classes = [right[recipe][:, 0, labels == label].mean(axis=1) for label in range(3)]
        np.testing.assert_allclose(accuracy[row], np.mean(of_classes, axis=0))
        assert result.accuracies("softmax", "noisy")[recipe].mean == pytest.approx(accuracy[row].mean())
    assert not np.allclose(accuracy[0], right["real"].mean(axis=(1, 2)))
    gain = 100 * (accuracy[2] - accuracy[0]).mean()
    assert result.gains("softmax", "noisy")["real+gan@4"].mean == pytest.approx(gain)
    case = result.verdict.cases[0]
    assert case.comparisons[1].gain == pytest.approx(gain)
    assert case.sentence.startswith("For softmax on noisy, every class counting alike: use none of it")
    assert "Every class counts alike. Mean ± standard deviation" in (tmp_path / "study" / "report.md").read_text()
    told = [score for score in recipe_origin(result.path, "real+gan@4").scores if "on noisy" in score]
    assert told[0].startswith(f"Accuracy of softmax on noisy, every class counting alike: {accuracy[2].mean():.3f}")


def test_gains_come_with_the_interval_that_suits_the_test_set(choosing: StudyResult):
    right, accuracy = choosing.right("softmax", "blobs"), choosing.accuracy("softmax")
    of_real, of_generated = (choosing.gains("softmax", test) for test in ("blobs", "gan@4"))
    recipes = choosing.recipes("softmax")
    assert list(of_real) == list(of_generated) == recipes[1:]
    for row, recipe in enumerate(recipes[1:], start=1):
        expected = bootstrap_interval(right[recipe], right["real"], choosing.seeds[0])
        assert tuple(of_real[recipe]) == pytest.approx(tuple(expected), rel=0.1, nan_ok=True)  # other resamples
        differences = 100 * (accuracy[row] - accuracy[0])[choosing.tests.index("gan@4")]
        half = scipy.stats.t.ppf(0.975, 1) * scipy.stats.sem(differences)
        mean = differences.mean()
        assert tuple(of_generated[recipe]) == pytest.approx((mean, mean - half, mean + half))
    table = (choosing.path / "tables" / "gains.md").read_text()
    assert f"{of_real['real+smote'].mean:+.1f} (" in table


def test_accuracies_come_with_their_intervals_and_confusions_agree_with_them(choosing: StudyResult):
    accuracy = choosing.accuracy("softmax").mean(axis=2)
    for column, test in enumerate(choosing.tests):
        found = choosing.accuracies("softmax", test)
        assert list(found) == choosing.recipes("softmax")
        for row, (mean, low, high) in enumerate(found.values()):
            assert mean == pytest.approx(accuracy[row, column])
            assert 0 <= low <= mean + 1e-9
            assert mean - 1e-9 <= high <= 1
    values = choosing.accuracy("softmax")[0, choosing.tests.index("gan@4")]
    low, high = scipy.stats.t.interval(0.95, 1, values.mean(), scipy.stats.sem(values) or 1e-12)
    assert tuple(choosing.accuracies("softmax", "gan@4")["real"])[1:] == pytest.approx((max(low, 0), min(high, 1)))
    for row, recipe in enumerate(choosing.recipes("softmax")):
        confusion = choosing.confusion("softmax", "negatives", recipe)
        assert confusion.sum(axis=1).tolist() == [2 * 75] * 3
        assert confusion.trace() / confusion.sum() == pytest.approx(accuracy[row, choosing.tests.index("negatives")])


def test_pictures_that_are_all_alike_can_be_read_again(tmp_path: Path):
    """A collapsed GAN's: compressed, they would look like a file made to fill the memory."""
    labels = np.arange(700) % 3
    alike = LabelledImages.from_arrays(np.zeros((700, 64, 64, 3), np.uint8), labels, ["a", "b", "c"])
    material = Material(0, alike, {4: alike}, {"gan@4": alike})
    keep_pictures(material, tmp_path / "map-images.npz")
    images, found = read_npz(tmp_path / "map-images.npz", ("gan@4", "labels gan@4"))
    assert images.shape == (700, 64, 64, 3)
    assert np.bincount(found).tolist() == np.bincount(labels).tolist()


@pytest.mark.usefixtures("without_figures")
def test_a_study_of_an_older_version_gets_the_pictures_that_it_lacks(
    finished: StudyResult, source: LabelledImages, target: LabelledImages, tmp_path: Path
):
    shutil.copytree(finished.path, tmp_path / "blobs")
    for name in ("map-images.npz", "runs/0/neighbours.npz"):
        (tmp_path / "blobs" / name).unlink()
    draw(tmp_path / "blobs")
    assert "does not hold the neighbours" in (tmp_path / "blobs" / "report.html").read_text()
    study(source, target=target, out=tmp_path / "blobs", config=TINY)
    assert tree(tmp_path / "blobs") == tree(finished.path)


def test_a_recipes_training_set_can_be_had_again(choosing: StudyResult, source: LabelledImages, target: LabelledImages):
    found = training_set(choosing.path, "real+gan@4:0.25", images=source, target=target)
    assert found.name == "real+gan@4:0.25"
    assert len(found) == 24 + 24 + 12 + 3 * 4  # four fifths of 30, 30 and 15 of each class, and of 5 target images
    known = {image.tobytes() for images in (source, target) for image in images.images}
    assert sum(image.tobytes() in known for image in found.images) == round(0.75 * len(found))
    assert training_set(choosing.path, images=source, target=target).name == choosing.verdict.cases[0].best
    with pytest.raises(InputError, match=r"expected its images again \(--images\)"):
        training_set(choosing.path)
    with pytest.raises(InputError, match="found other images than the study's: "):
        training_set(choosing.path, images=target, target=source)


def test_a_recipes_card_says_what_it_is_made_of_and_what_the_study_found(choosing: StudyResult, source: LabelledImages):
    origin = recipe_origin(choosing.path, "real+gan@2..4")
    facts = dict(origin.facts)
    assert facts["SHA-256 of the real images' contents"] == source.content_hash()
    assert facts["real images"].endswith(
        f"{len(source)} images of 16 x 16 pixels, {len(source.test)} of them for testing alone"
    )
    assert facts["recipe"] == "real+gan@2..4"
    assert facts["stages"] == "steps 2, 4 of 4"
    assert facts["target images among the real ones"] == "15 of negatives"
    assert str(choosing.path) not in str(origin)
    assert "real images and of images drawn from a GAN: 50% of them" in origin.made
    assert (origin.generated, origin.tags) == ("some", ("synthetic", "gan"))
    assert set(str(choosing.verdict).splitlines()) <= set(origin.scores)
    place = choosing.tests.index("negatives")
    means = choosing.accuracy("softmax")[:, place].mean(axis=1)
    row = choosing.recipes("softmax").index("gan@2..4")
    alone = recipe_origin(choosing.path, "gan@2..4")
    expected = f"Accuracy of softmax on negatives: {means[row]:.3f} (of real: {means[0]:.3f}), the mean over 2 seeds."
    assert expected in alone.scores
    assert alone.generated == "all"
    real = recipe_origin(choosing.path, "real+classical")
    assert (real.generated, real.tags) == ("none", ())
    assert "stages" not in dict(real.facts)


@pytest.mark.usefixtures("without_figures")
def test_a_finished_study_is_not_done_again(
    finished: StudyResult, source: LabelledImages, target: LabelledImages, monkeypatch: pytest.MonkeyPatch
):
    def never(*args: object, **options: object) -> None:
        raise AssertionError("done twice")

    monkeypatch.setattr("mizumashi.studies.classifiers.train_softmax", never)
    monkeypatch.setattr("mizumashi.studies.tasks.write_stream", never)
    monkeypatch.setattr("mizumashi.studies.gans.perform_side_by_side", never)
    for name in ("shared_map", "two_sample_accuracy", "copies"):
        monkeypatch.setattr(f"mizumashi.studies.measures.{name}", never)
    monkeypatch.setattr("mizumashi.gan.training._Training", never)
    again = study(source, target=target, out=finished.path, config=TINY)
    assert again.cells == finished.cells


@pytest.mark.parametrize(
    ("precision", "at"),
    [
        *(("32-true", at) for at in ("GAN, seed 1", "telling", "t-SNE")),
        *(("bf16-mixed", at) for at in ("GAN, seed 1", "seed 1: drawing", "softmax models")),
    ],
)
@pytest.mark.usefixtures("without_figures")
def test_a_stopped_study_goes_on_to_the_same_bytes(
    finished: StudyResult,
    rounded: StudyResult,
    source: LabelledImages,
    target: LabelledImages,
    tmp_path: Path,
    precision: Precision,
    at: str,
):
    config, whole = (TINY, finished) if precision == "32-true" else (ROUNDED, rounded)

    def stop(task: str, done: int, total: int, note: str) -> None:
        if at in task and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(source, target=target, out=tmp_path / "blobs", config=config, progress=stop)
    study(source, target=target, out=tmp_path / "blobs", config=config)
    expected = {name: content for name, content in tree(whole.path).items() if not name.startswith("figures/")}
    assert tree(tmp_path / "blobs") == expected


def test_a_study_that_was_stopped_among_its_figures_draws_them_all(
    finished: StudyResult, source: LabelledImages, target: LabelledImages, tmp_path: Path
):
    shutil.copytree(finished.path, tmp_path / "blobs")
    for name in ("figures", "tables"):
        shutil.rmtree(tmp_path / "blobs" / name)
    for name in ("verdict.json", "report.md", "report.html"):
        (tmp_path / "blobs" / name).unlink()

    def stop(task: str, done: int, total: int, note: str) -> None:
        if task == "figures" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(source, target=target, out=tmp_path / "blobs", config=TINY, progress=stop)
    assert not (tmp_path / "blobs" / "figures").exists()
    study(source, target=target, out=tmp_path / "blobs", config=TINY)
    assert tree(tmp_path / "blobs") == tree(finished.path)


@pytest.mark.usefixtures("without_figures")
def test_more_seeds_join_the_ones_that_are_there(
    source: LabelledImages, target: LabelledImages, tmp_path: Path, finished: StudyResult
):
    study(source, target=target, out=tmp_path / "blobs", config=replace(TINY, seeds=1))
    more = study(source, target=target, out=tmp_path / "blobs", config=TINY)
    assert more.cells == finished.cells


def test_a_study_of_a_version_without_some_setting_is_taken_up(
    source: LabelledImages, target: LabelledImages, tmp_path: Path, finished: StudyResult
):
    shutil.copytree(finished.path, tmp_path / "blobs")
    records = dict.fromkeys((tmp_path / "blobs").rglob("config.json"), "config")
    for path, key in (records | {tmp_path / "blobs" / "plan.json": "gan"}).items():
        record = json.loads(path.read_text())
        del record[key]["schedule"]
        path.write_text(json.dumps(record))
    again = study(source, target=target, out=tmp_path / "blobs", config=TINY)
    assert len(records) == len(again.seeds)
    assert again.cells == finished.cells


def test_another_study_in_the_folder_is_refused_by_name(finished: StudyResult, source: LabelledImages):
    before = tree(finished.path)
    with pytest.raises(InputError, match=r"found another study in .*: target is"):
        study(source, out=finished.path, config=TINY)
    assert tree(finished.path) == before


def test_bad_plans_are_refused_before_anything_is_written(
    source: LabelledImages, target: LabelledImages, tmp_path: Path
):
    small = LabelledImages.from_arrays(np.zeros((6, 8, 8), np.uint8), np.arange(6) % 3, ["left", "middle", "right"])
    with pytest.raises(InputError, match="found seeds 0"):
        study(source, out=tmp_path / "x", config=replace(TINY, seeds=0))
    with pytest.raises(InputError, match=r"found size \(8, 8\); expected \(16, 16\) as in blobs"):
        study(source, target=small, out=tmp_path / "x", config=TINY)
    with pytest.raises(InputError, match="found class_names"):
        study(source, target=replace(target, class_names=("a", "b", "c")), out=tmp_path / "x", config=TINY)
    copies = source.test.take(np.arange(len(source.test))[::-1]).renamed("another name")
    for known in (source, source.train, copies):
        with pytest.raises(InputError, match="found 120 of its 120 images among those of blobs"):
            study(source, target=known, out=tmp_path / "x", config=TINY)
    assert list(tmp_path.iterdir()) == []


def test_a_key_changes_with_whatever_the_cell_depends_on(
    source: LabelledImages, target: LabelledImages, tmp_path: Path
):
    generated = source.train.renamed("gan@4")
    material = Material(0, source.train, {4: generated}, {"blobs": source.test})
    recipes = [Recipe(real=True, stages=(4, 4))]

    def key(changed: Material) -> str:
        return Cells(changed, 1, tmp_path, [], silent).run(softmax(SoftmaxConfig(), Classical()), recipes)[0].key

    keys = [
        key(material),
        key(replace(material, seed=1)),
        key(replace(material, real=source.train.take(np.arange(100)))),
        key(replace(material, generated={4: generated.take(np.arange(119, -1, -1))})),
        key(replace(material, tests={"blobs": source.test, "negatives": target})),
        key(replace(material, grow=True)),
    ]
    assert len(set(keys)) == len(keys)
    assert key(material) == keys[0]


def test_a_mix_keeps_the_real_sets_size_and_is_trained_on_both(source: LabelledImages, tmp_path: Path):
    """Real images of one half of the labels' meaning, generated ones of the other: only a mix reads both."""
    rolled = replace(source.train, images=np.roll(source.train.images, 8, axis=1))
    material = Material(0, source.train, {4: rolled}, {"real": source.test, "rolled": rolled})
    cells = Cells(material, 1, tmp_path, [], silent)
    (cell,) = cells.run(softmax(SoftmaxConfig(), Classical()), [Recipe(real=True, stages=(4, 4))])
    (model,) = train_softmax([source.train], [0])
    assert score(model, rolled).accuracy < 0.7
    assert cell.scores["real"].accuracy > 0.9
    assert cell.scores["rolled"].accuracy > 0.9


@pytest.mark.parametrize(
    "name", ["plan.json", "results.json", "examples.npz", "map.npz", "map-images.npz", "runs/0/neighbours.npz"]
)
@pytest.mark.parametrize("content", [b"{}", b"[1]", b"", b"PK\x03\x04"])
def test_a_damaged_study_is_one_line(
    finished: StudyResult, source: LabelledImages, tmp_path: Path, name: str, content: bytes
):
    shutil.copytree(finished.path, tmp_path / "study")
    (tmp_path / "study" / name).write_bytes(content)
    if name == "plan.json":  # the report does without
        with pytest.raises(InputError, match=r"plan\.json|another study"):
            begin(Plan(source, None, None, TINY), tmp_path / "study")
        return
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        draw(tmp_path / "study")


@pytest.mark.parametrize("key", ["gan", "classifiers", "seeds", "source", "versions"])
def test_a_plan_that_lacks_something_is_one_line(finished: StudyResult, tmp_path: Path, key: str):
    shutil.copytree(finished.path, tmp_path / "study")
    results = json.loads((tmp_path / "study" / "results.json").read_text())
    del results["plan"][key]
    (tmp_path / "study" / "results.json").write_text(json.dumps(results))
    with pytest.raises(InputError, match=r"results\.json: found a damaged or foreign file"):
        draw(tmp_path / "study")


def test_an_unfinished_folder_is_no_result(tmp_path: Path):
    with pytest.raises(InputError, match="found no finished study"):
        StudyResult.read(tmp_path)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

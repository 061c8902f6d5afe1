"""What a study gives to whom: every image says where it comes from, and nothing is trained.

The first pixels of an image hold its origin: kind, GAN seed, step, sampling seed, index and label.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mizumashi.api import evaluate, study
from mizumashi.classifiers.classical import Classical
from mizumashi.classifiers.cnn import CnnConfig
from mizumashi.classifiers.score import Score
from mizumashi.classifiers.softmax import SoftmaxConfig
from mizumashi.data.images import LabelledImages
from mizumashi.gan.config import GanConfig
from mizumashi.metrics.tsne import SharedMap
from mizumashi.metrics.two_sample import TwoSample
from mizumashi.studies.cell import Cells
from mizumashi.studies.classifiers import Classifier, Job, cnn, softmax
from mizumashi.studies.config import Regime, StudyConfig
from mizumashi.studies.plan import Plan
from mizumashi.studies.recipe import Recipe
from mizumashi.studies.results import StudyResult
from mizumashi.studies.training_sets import Material
from mizumashi.utils.progress import silent

SOURCE, TARGET, GENERATED = 1, 2, 3
STEPS, SEEDS, TRAIN, TEST, FAXES = (2, 4), (5, 6), 90, 30, 24
CONFIG = StudyConfig(
    GanConfig(steps=4, snapshots=STEPS, batch_size=16, seed=5, precision="32-true"), seeds=2, classifier_seeds=2
)


def marked(
    kind: int, labels: np.ndarray, start: int = 0, gan_seed: int = 0, step: int = 0, seed: int = 0
) -> np.ndarray:
    """Images 16 x 16 that tell their origin."""
    images = np.zeros((len(labels), 16, 16, 1), np.uint8)
    for index, label in enumerate(labels):
        images[index, 0, :6, 0] = kind, gan_seed, step, seed, start + index, label
    return images


def origins(images: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(image.reshape(-1)[:6].tolist()) for image in images]


def expected(kind: int, labels: np.ndarray, start: int = 0, **origin: int) -> list[tuple[int, ...]]:
    return origins(marked(kind, labels, start, **origin))


class Recorder:
    """Stands for everything that trains, scores or measures, and remembers what it was given."""

    def __init__(self) -> None:
        self.trained: list[tuple[list[tuple[int, ...]], int]] = []
        self.configs: list[SoftmaxConfig | None] = []
        self.scored: list[tuple[int, list[tuple[int, ...]]]] = []
        self.told: list[tuple[list[tuple[int, ...]], list[tuple[int, ...]], int]] = []
        self.maps: list[tuple[list[tuple[int, ...]], dict[str, list[tuple[int, ...]]]]] = []
        self.gans: list[tuple[list[tuple[int, ...]], GanConfig, str]] = []
        self.intervals: list[int] = []
        self.copied: list[tuple[list[tuple[int, ...]], ...]] = []

    def train(
        self,
        images: LabelledImages,
        out: Path,
        config: GanConfig,
        *,
        checkpoint_every: int,
        accelerator: str,
        tensorboard: bool,
        progress: object,
    ) -> SimpleNamespace:
        self.gans.append((origins(images.images), config, accelerator))
        self.intervals.append(checkpoint_every)

        def snapshot(step: int) -> SimpleNamespace:
            def draw(count: int, *, seed: int, labels: np.ndarray, progress: object) -> Iterator[np.ndarray]:
                assert count == len(labels)
                yield marked(GENERATED, labels, gan_seed=config.seed, step=step, seed=seed)

            return SimpleNamespace(draw=draw, class_names=images.class_names)

        return SimpleNamespace(snapshot=snapshot, origin=lambda step, seed: None)

    def train_softmax(
        self, sets: list[LabelledImages], seeds: list[int], config: SoftmaxConfig | None = None, **_: object
    ) -> list[int]:
        first = len(self.trained)
        self.configs.append(config)
        self.trained += [(origins(images.images), seed) for images, seed in zip(sets, seeds, strict=True)]
        for images in sets:
            assert images.labels.tolist() == [origin[5] for origin in origins(images.images)]
        return list(range(first, len(self.trained)))

    def judge(self, model: int, images: LabelledImages) -> tuple[Score, np.ndarray]:
        self.scored.append((model, origins(images.images)))
        accuracy = self.accuracy(model, len(images))
        return Score(accuracy, accuracy / 2, accuracy + 1, len(images)), (images.labels + model) % 3

    @staticmethod
    def accuracy(model: int, count: int) -> float:
        """Another number for each model and each size of test set."""
        return model / 100 + count / 100_000

    def two_sample_accuracy(self, real: np.ndarray, generated: np.ndarray, seed: int) -> TwoSample:
        self.told.append((origins(real), origins(generated), seed))
        return TwoSample(0.5, 0.4, 0.6, 20)

    def copies(self, train: np.ndarray, held_out: np.ndarray, generated: np.ndarray, seed: int) -> SimpleNamespace:
        self.copied.append((origins(train), origins(held_out), origins(generated)))
        nearness = np.arange(len(generated), 0, -1) / 100  # the last are the surest copies
        nearest = np.arange(len(generated)) % len(train)
        numbers = {"share": 0.5, "low": 0.4, "high": 0.6, "expected_share": 0.01, "p_value": 1e-6, "identical": 3}
        return SimpleNamespace(**numbers, nearness=nearness, nearest=nearest)

    def shared_map(self, reference: np.ndarray, others: dict[str, np.ndarray], seed: int) -> SharedMap:
        self.maps.append((origins(reference), {name: origins(rows) for name, rows in others.items()}))
        placed = {name: np.ones((len(rows), 2)) for name, rows in others.items()}
        return SharedMap(np.zeros((len(reference), 2)), placed)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr("mizumashi.studies.tasks.train", recorder.train)
    monkeypatch.setattr("mizumashi.studies.gans.at_once", lambda: 1)  # one GAN after the other, in their order
    for name in ("two_sample_accuracy", "shared_map", "copies"):
        monkeypatch.setattr(f"mizumashi.studies.measures.{name}", getattr(recorder, name))
    for place in ("studies.classifiers.train_softmax", "classifiers.softmax.train_softmax", "studies.cell.judge"):
        monkeypatch.setattr(f"mizumashi.{place}", getattr(recorder, place.rpartition(".")[2]))
    monkeypatch.setattr("mizumashi.classifiers.score.score", lambda model, images: recorder.judge(model, images)[0])
    curves = {"generator": {"seed 5": np.ones(4)}, "discriminator": {"seed 5": np.ones(4)}}
    monkeypatch.setattr("mizumashi.report.figures.drawn", lambda figure: {})
    monkeypatch.setattr("mizumashi.report.data.ReportData.losses", curves)
    monkeypatch.setattr("mizumashi.report.data.ReportData.collapse", [])
    return recorder


@pytest.fixture
def source() -> LabelledImages:
    """Twice as many images of the first class as of each other, in no order."""
    labels = np.random.default_rng(0).permutation(np.arange(TRAIN + TEST) % 4 % 3)
    images = LabelledImages.from_arrays(marked(SOURCE, labels), labels, name="scans")
    return replace(images, test_start=TRAIN)


@pytest.fixture
def target() -> LabelledImages:
    labels = np.arange(FAXES) % 3
    return LabelledImages.from_arrays(marked(TARGET, labels), labels, name="faxes")


@pytest.fixture
def result(recorder: Recorder, source: LabelledImages, target: LabelledImages, tmp_path: Path) -> StudyResult:
    return study(source, target=target, out=tmp_path / "study", config=CONFIG, accelerator="cpu", checkpoint_every=3)


def test_each_gan_is_trained_on_the_training_part_with_a_seed_of_its_own(
    result: StudyResult, recorder: Recorder, source: LabelledImages
):
    for (images, config, accelerator), seed in zip(recorder.gans, SEEDS, strict=True):
        assert images == expected(SOURCE, source.train.labels)
        assert config == replace(CONFIG.gan, seed=seed)
        assert accelerator == "cpu"
    assert recorder.intervals == [3, 3]


def test_each_recipe_is_trained_on_its_own_images(result: StudyResult, recorder: Recorder, source: LabelledImages):
    labels = source.train.labels
    trained = iter(recorder.trained)
    for seed in SEEDS:
        generated = {step: expected(GENERATED, labels, gan_seed=seed, step=step, seed=seed) for step in STEPS}
        for pure in (expected(SOURCE, labels), *generated.values()):
            for _ in range(2):
                assert next(trained)[0] == pure
        for step in STEPS:
            for _ in range(2):
                mixed = next(trained)[0]
                assert len(mixed) == len(set(mixed)) == TRAIN
                assert set(mixed) <= {*expected(SOURCE, labels), *generated[step]}
                assert sum(origin[0] == SOURCE for origin in mixed) == TRAIN // 2
                for half in (SOURCE, GENERATED):
                    shares = np.bincount([origin[5] for origin in mixed if origin[0] == half]) / (TRAIN // 2)
                    np.testing.assert_allclose(shares, source.train.counts / TRAIN, atol=1 / (TRAIN // 2))
    assert next(trained, None) is None
    assert recorder.configs == [SoftmaxConfig()] * len(SEEDS)


def test_recipes_are_paired_and_classifiers_are_not(result: StudyResult, recorder: Recorder):
    orders = np.array([seed for _, seed in recorder.trained]).reshape(len(SEEDS), len(result.recipes("softmax")), 2)
    assert (orders == orders[:, :1]).all()  # the recipes of one seed share their orders
    assert len(set(orders[:, 0].ravel().tolist())) == 4  # every GAN's and every classifier's is another


def test_every_model_is_scored_on_test_images_alone(result: StudyResult, recorder: Recorder, source: LabelledImages):
    per_seed = 2 * len(result.recipes("softmax"))
    for model in range(2 * per_seed):
        seed = SEEDS[model // per_seed]
        stages = [expected(GENERATED, source.labels, gan_seed=seed, step=step, seed=seed)[TRAIN:] for step in STEPS]
        faxes = expected(TARGET, np.arange(FAXES) % 3)
        wanted = [expected(SOURCE, source.labels)[TRAIN:], *stages, faxes]
        assert [images for number, images in recorder.scored if number == model] == wanted


def test_the_numbers_are_means_over_the_classifiers_of_a_seed(result: StudyResult, recorder: Recorder, tmp_path: Path):
    assert result.tests == ["scans", "gan@2", "gan@4", "faxes"]
    accuracy, loss = result.accuracy("softmax"), result.loss("softmax")
    per_seed = 2 * len(result.recipes("softmax"))
    for test, count in (("scans", TEST), ("gan@4", TEST), ("faxes", FAXES)):
        for row in range(len(result.recipes("softmax"))):
            for column in range(2):
                pair = [column * per_seed + 2 * row + number for number in range(2)]
                mean = np.mean([recorder.accuracy(model, count) for model in pair])
                assert accuracy[row, result.tests.index(test), column] == pytest.approx(mean)
    np.testing.assert_allclose(loss, accuracy + 1)
    tables = {name: (tmp_path / "study" / "tables" / f"{name}.csv").read_text() for name in ("accuracy", "loss")}
    assert f"softmax,real,faxes,{accuracy[0, 3].mean():.6f}," in tables["accuracy"]
    assert f"softmax,real,faxes,{loss[0, 3].mean():.6f}," in tables["loss"]


def test_generated_images_are_told_from_training_images(
    result: StudyResult, recorder: Recorder, source: LabelledImages
):
    told = iter(recorder.told)
    for seed in SEEDS:
        for step in STEPS:
            drawn = expected(GENERATED, source.labels, gan_seed=seed, step=step, seed=seed)
            assert next(told) == (expected(SOURCE, source.train.labels), drawn[TRAIN:], seed)
    assert next(told, None) is None


def test_copies_are_looked_for_in_the_first_seeds_last_stage(
    result: StudyResult, recorder: Recorder, source: LabelledImages
):
    ((train, held_out, generated),) = recorder.copied
    assert train == expected(SOURCE, source.train.labels)
    assert sorted(held_out) == sorted(expected(SOURCE, source.labels)[TRAIN:])
    drawn = expected(GENERATED, source.labels, gan_seed=SEEDS[0], step=STEPS[-1], seed=SEEDS[0])[TRAIN:]
    assert sorted(generated) == sorted(drawn)
    assert result.verdict.copying.startswith("The GAN copies training images: 50.0 % of 30 images are flagged")


def test_the_surest_copies_and_random_images_are_kept_beside_their_neighbours(result: StudyResult, recorder: Recorder):
    ((train, _, generated),) = recorder.copied
    with np.load(result.path / "runs" / str(SEEDS[0]) / "neighbours.npz") as kept:
        places = [*range(len(generated) - 1, len(generated) - 11, -1), *range(10)]
        assert origins(kept["generated"]) == [generated[place] for place in places]
        assert origins(kept["nearest"]) == [train[place % len(train)] for place in places]
        np.testing.assert_allclose(kept["nearness"], [(len(generated) - place) / 100 for place in places])
        for drawn, real, distance in zip(kept["generated"], kept["nearest"], kept["distance"], strict=True):
            assert distance == pytest.approx(np.std(drawn.astype(float) - real, mean=0))


def test_the_pictures_behind_the_map_stand_in_the_order_of_its_points(result: StudyResult, recorder: Recorder):
    ((reference, others),) = recorder.maps
    with np.load(result.path / "map-images.npz") as kept:
        for name, points in {"real": reference, **others}.items():
            assert origins(kept[name]) == points
            assert kept[f"labels {name}"].tolist() == [origin[5] for origin in points]


def test_the_map_shows_training_images_and_the_first_seeds_stages(
    result: StudyResult, recorder: Recorder, source: LabelledImages
):
    ((reference, others),) = recorder.maps
    assert sorted(reference) == sorted(expected(SOURCE, source.train.labels))
    assert list(others) == ["gan@2", "gan@4"]
    for step in STEPS:
        drawn = expected(GENERATED, source.labels, gan_seed=SEEDS[0], step=step, seed=SEEDS[0])[TRAIN:]
        assert sorted(others[f"gan@{step}"]) == sorted(drawn)


def test_the_figures_show_the_target_and_the_objectives_equilibrium(
    recorder: Recorder, source: LabelledImages, target: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from mizumashi.report import figures

    drawn: dict[str, tuple[object, ...]] = {}
    for name in ("recipe_accuracy", "loss_curves", "image_rows"):

        def record(*given: object, name: str = name, make: object = getattr(figures, name)) -> object:
            drawn[f"{name} {len(given[0])}" if name == "image_rows" else name] = given  # type: ignore[arg-type]
            return make(*given)  # type: ignore[operator]

        monkeypatch.setattr(figures, name, record)
    minimax = replace(CONFIG, gan=replace(CONFIG.gan, objective="minimax"))
    result = study(source, target=target, out=tmp_path / "study", config=minimax)
    names, accuracies, baseline, count, title = drawn["recipe_accuracy"]
    assert (names, baseline, count) == (result.recipes("softmax"), "real", FAXES)
    assert "faxes" in str(title)
    np.testing.assert_allclose(np.asarray(accuracies), result.accuracy("softmax")[:, result.tests.index("faxes")])
    # At D = 1/2 the paper's eq. 2 is log(1 - 1/2), and eq. 3 negated is -2 log(1/2).
    assert drawn["loss_curves"][1] == pytest.approx({"generator": np.log(0.5), "discriminator": -2 * np.log(0.5)})
    figure_3, figure_5 = (drawn[f"image_rows {rows}"][0] for rows in (3, 4))
    assert [name for name, _ in figure_3] == ["gan@2", "gan@4", "scans"]  # type: ignore[attr-defined]
    for name, images in figure_5:  # type: ignore[attr-defined]
        kind = {"scans": SOURCE, "faxes": TARGET}.get(name, GENERATED)
        assert [(origin[0], origin[5]) for origin in origins(images)] == [(kind, label) for label in range(3)]


def test_a_key_changes_with_the_classifiers_configuration(recorder: Recorder, source: LabelledImages, tmp_path: Path):
    cells = Cells(Material(0, source.train, {}, {"scans": source.test}), 1, tmp_path, ["scans"], silent)
    keys = {
        cells.run(softmax(config, Classical()), [Recipe(real=True)])[0].key
        for config in (SoftmaxConfig(), SoftmaxConfig(steps=7), SoftmaxConfig(precision="bf16-mixed"))
    }
    assert len(keys) == 3


def test_classifiers_are_as_precise_as_the_gan(source: LabelledImages):
    for precision, wanted in (("32-true", "32-true"), ("bf16-mixed", "bf16-mixed"), ("16-mixed", "32-true")):
        gan = replace(CONFIG.gan, precision=precision)  # type: ignore[arg-type]
        assert Plan(source, None, None, StudyConfig(gan)).softmax == SoftmaxConfig(precision=wanted)  # type: ignore[arg-type]


def test_auto_is_one_precision_for_gans_and_softmax_models(
    recorder: Recorder, source: LabelledImages, tmp_path: Path, bfloat16_is_fast: bool
):
    auto = replace(CONFIG, gan=replace(CONFIG.gan, precision="auto"))
    study(source, out=tmp_path / "study", config=auto, accelerator="cpu")
    taken = "bf16-mixed" if bfloat16_is_fast else "32-true"
    assert [config.precision for _, config, _ in recorder.gans] == [taken] * len(SEEDS)
    assert recorder.configs == [SoftmaxConfig(precision=taken)] * len(SEEDS)


def test_networks_are_given_each_job_and_keyed_by_the_precision_that_they_take(
    source: LabelledImages, monkeypatch: pytest.MonkeyPatch, bfloat16_is_fast: bool
):
    given = {}

    def train_cnn(images: LabelledImages, seed: int, config: CnnConfig, **rest: object) -> int:
        given[seed] = id(images), config.precision, rest["augmentation"]
        return seed

    monkeypatch.setattr("mizumashi.classifiers.cnn.train_cnn", train_cnn)
    precision = "bf16-mixed" if bfloat16_is_fast else "32-true"
    turned = Classical(flip=True)
    networks = cnn(turned)
    plain, other = source.train, source.test
    jobs = [Job(plain, 3, classical=False), Job(other, 4, classical=True)]
    assert list(networks.train(jobs, silent)) == [3, 4]
    assert given == {3: (id(plain), precision, None), 4: (id(other), precision, turned)}
    description = networks.description
    assert (description["precision"], description["classical"]["flip"]) == (precision, True)


@pytest.mark.parametrize("name", ["softmax", "cnn", "sklearn.neighbors:KNeighborsClassifier"])
def test_whether_images_are_flipped_is_part_of_what_a_classifier_is(
    source: LabelledImages, name: str, bfloat16_is_fast: bool
):
    flips = []
    for flip in (False, True):
        plan = Plan(source, None, None, replace(CONFIG, classifiers=(name,), flip=flip))
        (classifier,) = plan.classifiers
        flips.append(classifier.description["classical"]["flip"])
        assert plan.record().config.flip is flip
    assert flips == [False, True]


@pytest.mark.parametrize(("balance", "what"), [(False, "accuracy"), (True, "class_accuracy")])
def test_a_study_that_balances_chooses_by_what_each_class_reaches(
    recorder: Recorder,
    source: LabelledImages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    balance: bool,
    what: str,
):
    """The recorder's accuracy grows with each model, and of a class it is half as large."""
    monkeypatch.setattr("mizumashi.classifiers.classical.augmented", lambda images, seed, config: images)
    regime = Regime(balance=balance)
    config = replace(CONFIG, choose=True, classifier_seeds=1, recipes=("real+gan@2",), regime=regime)
    result = study(source, out=tmp_path / "study", config=config)
    choice = result.choices["softmax"]
    reached = {
        recipe: [getattr(cell.scores["validation"], what) for cell in result.cells if cell.recipe == recipe]
        for recipe in (choice.recipe, choice.baseline)
    }
    assert choice.recipe != choice.baseline
    assert choice.tried == (8 if balance else 14)  # smote joins where a study balances, shares do without
    gain = np.mean(reached[choice.recipe]) - np.mean(reached[choice.baseline])
    assert choice.gain == pytest.approx(100 * gain)


def test_many_recipes_are_trained_a_few_at_a_time(recorder: Recorder, source: LabelledImages, tmp_path: Path):
    at_once: list[int] = []

    def train(jobs: list[Job], progress: object) -> Iterator[int]:
        at_once.append(len(jobs))
        yield from recorder.train_softmax([job.images for job in jobs], [job.seed for job in jobs])

    steps = range(1, 6)
    generated = {step: source.train.renamed(f"gan@{step}") for step in steps}
    material = Material(0, source.train, generated, {"scans": source.test})
    two = Classifier("two", {"name": "two"}, 2, train)  # type: ignore[arg-type]
    cells = Cells(material, 2, tmp_path, [], silent).run(two, [Recipe(stages=(step, step)) for step in steps])
    assert [cell.recipe for cell in cells] == [f"gan@{step}" for step in steps for _ in range(2)]
    assert at_once == [4, 4, 2]


def test_classes_that_no_test_image_has_are_named(
    recorder: Recorder, source: LabelledImages, target: LabelledImages, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    some = target.take(np.flatnonzero(target.labels != 1))
    study(source, target=some, out=tmp_path / "study", config=CONFIG)
    assert [record.message for record in caplog.records] == ["faxes has no image of 1: no accuracy here speaks of them"]


def test_evaluate_trains_on_training_parts_and_scores_test_parts(
    recorder: Recorder, source: LabelledImages, target: LabelledImages
):
    accuracy, loss = evaluate([source, source.train.take(np.arange(50))], [source, target], seeds=3)
    assert [len(images) for images, _ in recorder.trained] == [TRAIN] * 3 + [50] * 3
    assert [seed for _, seed in recorder.trained] == [0, 1, 2] * 2
    wanted = [expected(SOURCE, source.labels)[TRAIN:], expected(TARGET, target.labels)]
    for model in range(6):
        assert [images for number, images in recorder.scored if number == model] == wanted
    counts = np.array([TEST, FAXES])
    wanted_accuracy = np.array(
        [[recorder.accuracy(3 * row + seed, count) for seed in range(3)] for row in range(2) for count in counts]
    ).reshape(2, 2, 3)
    np.testing.assert_allclose(accuracy, wanted_accuracy)
    np.testing.assert_allclose(loss, wanted_accuracy + 1)

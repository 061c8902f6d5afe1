"""report.html in a real browser."""

import io
import re
import shutil
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from mizumashi.api import report, study
from mizumashi.data.images import LabelledImages
from mizumashi.data.split import stratified_split
from mizumashi.gan.config import GanConfig
from mizumashi.report.data import Confusion, ReportData
from mizumashi.report.html import MAP_COLUMNS, render
from mizumashi.report.sprites import sheet
from mizumashi.studies.config import StudyConfig
from mizumashi.studies.results import StudyResult

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Route

ADDRESS = "http://study.test/report.html"
HOSTILE = ("<script>alert(1)</script>", "' onmouseover=alert(1) x=\"", "../../x")
TINY = StudyConfig(
    GanConfig(steps=4, snapshots=(1, 2, 4), batch_size=16, latent_size=8, widths=(4, 8, 8), precision="32-true"),
    seeds=2,
)
STAGES = ["gan@1", "gan@2", "gan@4"]


@dataclass
class Opened:
    """The page, and what went wrong with it."""

    page: "Page"
    faults: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def hostile_study(blobs: LabelledImages, tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    """A finished study whose classes and sets have hostile names, to be read only."""
    named = replace(blobs, class_names=HOSTILE, name="blobs</title><b>")
    source = stratified_split(named, 0.5, seed=0).renamed(named.name)
    target = replace(named, images=255 - named.images, name="negatives")
    return study(source, target=target, out=tmp_path_factory.mktemp("studies") / "hostile", config=TINY)


@pytest.fixture
def opener(browser: "Browser") -> "Iterator[Any]":
    """Opens a page's text; whatever else it asks for is refused and noted."""
    contexts = []

    def opened(text: str, width: int = 1280, scheme: Any = "light") -> Opened:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        found = Opened(context.new_page())

        def answer(route: "Route") -> None:
            if route.request.url == ADDRESS:
                route.fulfill(body=text, content_type="text/html; charset=utf-8")
            else:
                found.left.append(route.request.url)
                route.abort()

        def complain(message: "ConsoleMessage") -> None:
            found.faults.append(message.text)

        def dismiss(dialog: "Dialog") -> None:
            found.faults.append(f"a dialog: {dialog.message}")
            dialog.dismiss()

        context.route("**/*", answer)
        found.page.on("console", complain)
        found.page.on("pageerror", lambda error: found.faults.append(str(error)))
        found.page.on("dialog", dismiss)
        found.page.goto(ADDRESS)
        return found

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def text(hostile_study: StudyResult) -> str:
    return (hostile_study.path / "report.html").read_text(encoding="utf-8")


def use_everything(page: "Page") -> None:
    for stage in range(len(STAGES)):
        page.locator("#stage").fill(str(stage))
    for toggle in page.locator(".toggle input").all():
        toggle.click()
        toggle.click()
    page.locator("summary").click()
    page.locator("#map-plot").hover()
    page.locator("#point").focus()
    page.keyboard.press("ArrowRight")


def test_nothing_leaves_the_page_and_nothing_goes_wrong(opener: Any, text: str):
    opened = opener(text)
    use_everything(opened.page)
    assert opened.faults == []
    assert opened.left == []


def test_what_would_leave_the_page_is_noted_and_its_policy_stops_it(opener: Any, text: str):
    outside = text.replace("<main", '<img src="http://elsewhere.test/x.png" alt="x"><main')
    stopped = opener(outside)
    assert stopped.left == []
    assert any("Content Security Policy" in fault for fault in stopped.faults)
    assert opener(re.sub(r"<meta http-equiv[^>]*>", "", outside)).left == ["http://elsewhere.test/x.png"]


def test_the_slider_moves_every_class_through_the_stages(opener: Any, text: str, hostile_study: StudyResult):
    page = opener(text).page
    with np.load(hostile_study.path / "examples.npz") as kept:
        examples = dict(zip(kept["sets"].tolist(), kept["images"], strict=True))
    seen = set()
    for place, stage in enumerate(STAGES):
        page.locator("#stage").fill(str(place))
        assert page.locator("#stage-name").inner_text() == stage
        assert page.locator("#stage").get_attribute("aria-valuetext") == stage
        strips = page.locator(".growing")
        assert strips.count() == len(HOSTILE)
        for label in range(len(HOSTILE)):
            pictures = background(page, f".growing >> nth={label}")
            seen.add(pictures.tobytes())
            row = pictures.reshape(len(HOSTILE), 16, 10, 16)[shown(page, f".growing >> nth={label}", len(HOSTILE))[1]]
            np.testing.assert_array_equal(row.swapaxes(0, 1), examples[stage][label, ..., 0])
    assert len(seen) == len(STAGES)
    for place, name in enumerate(hostile_study.tested):
        pictures = background(page, f".strip.other-{place} >> nth=0").reshape(len(HOSTILE), 16, 10, 16)
        np.testing.assert_array_equal(pictures[0].swapaxes(0, 1), examples[name][0, ..., 0])


def test_a_place_is_the_same_latent_at_every_stage(hostile_study: StudyResult):
    from mizumashi.data.readers import open_images
    from mizumashi.gan.run import GanRun

    with np.load(hostile_study.path / "examples.npz") as kept:
        examples = dict(zip(kept["sets"].tolist(), kept["images"], strict=True))
    home, seed = hostile_study.path / "runs" / "0", 0
    labels = open_images(home / "sets" / "gan@1.npz").labels
    test = np.arange(120, 240)
    for stage, step in zip(STAGES, (1, 2, 4), strict=True):
        for label in range(len(HOSTILE)):
            (index,) = (test[labels[test] == label][4],)
            snapshot = GanRun(home / "gan").snapshot(step)
            alone = snapshot.sample(labels=[label], seed=seed, start=int(index))
            np.testing.assert_allclose(alone.images[0], examples[stage][label, 4], atol=1)


def test_toggles_hide_and_show_the_points_of_a_set(opener: Any, text: str):
    page = opener(text).page
    toggles = page.locator(".toggle input")
    assert [label.inner_text() for label in page.locator(".toggle").all()] == ["real", *STAGES]
    for place in range(toggles.count()):
        path = page.locator(f'.points[data-set="{place}"]')
        total = int(page.locator("#point").get_attribute("max") or 0) + 1
        toggles.nth(place).focus()
        page.keyboard.press("Space")
        assert not path.is_visible()
        assert int(page.locator("#point").get_attribute("max") or 0) + 1 == total - 120
        page.keyboard.press("Space")
        assert path.is_visible()


def test_the_pointer_and_the_keyboard_find_the_image_of_a_point(opener: Any, text: str, hostile_study: StudyResult):
    page = opener(text).page
    with np.load(hostile_study.path / "map-images.npz") as kept:
        images, labels = kept["real"][..., 0], kept["labels real"]
    for toggle in page.locator(".toggle input").all()[1:]:
        toggle.click()
    path = page.locator('.points[data-set="0"]').get_attribute("d") or ""
    points = np.array([[int(number) for number in point] for point in re.findall(r"M(\d+) (\d+)h0", path)])
    distances = np.linalg.norm(points[:, None] - points, axis=2) + 1e9 * np.eye(len(points))
    loneliest = int(distances.min(axis=1).argmax())
    tip = page.locator(".tip")
    assert not tip.is_visible()
    page.locator("#map-plot").scroll_into_view_if_needed()
    box = page.locator("#map-plot svg").bounding_box()
    assert box is not None
    scale = box["width"] / 1000
    page.mouse.move(box["x"] + points[loneliest, 0] * scale, box["y"] + points[loneliest, 1] * scale)
    assert tip.is_visible()
    assert tip.inner_text().strip() == f"real, class {HOSTILE[labels[loneliest]]}"
    np.testing.assert_array_equal(tile(page, len(points)), images[loneliest])
    page.mouse.move(box["x"] + box["width"] + 60, box["y"])
    assert not tip.is_visible()
    page.locator("#point").focus()
    for place in (1, 2, 3):
        page.keyboard.press("ArrowRight")
        np.testing.assert_array_equal(tile(page, len(points)), images[place])
    assert page.locator("#point").get_attribute("aria-valuetext") == f"real, class {HOSTILE[labels[3]]}"
    page.keyboard.press("Escape")
    assert not tip.is_visible()


def test_hostile_names_stay_text(opener: Any, text: str):
    opened = opener(text)
    page = opened.page
    assert page.locator(".growth h3").all_inner_texts() == list(HOSTILE)
    assert page.title() == "blobs</title><b> → negatives: a study by mizumashi"
    assert page.locator("script").count() == 2  # ours, and the names for it
    assert page.locator("[onmouseover], main b").count() == 0
    assert page.locator("#confusion th").first.inner_text() == HOSTILE[0]
    use_everything(page)
    assert opened.faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_serious_fault_of_accessibility_and_no_sideways_scrolling(opener: Any, text: str, scheme: str, width: int):
    page = opener(text, width, scheme).page
    use_everything(page)
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_faults_of_accessibility_would_be_found(opener: Any, text: str):
    broken = text.replace('<html lang="en">', "<html>").replace("--soft: #4a555e", "--soft: #dddddd")
    assert {"html-has-lang", "color-contrast"} <= {fault.partition(":")[0] for fault in serious(opener(broken).page)}


def test_print_shows_every_stage(opener: Any, text: str):
    page = opener(text).page
    page.emulate_media(media="print")
    assert [sheet.is_visible() for sheet in page.locator(".sheet").all()] == [True] * 5
    assert not page.locator("#stage").is_visible()


def test_a_study_of_an_older_version_has_a_page_without_pictures_of_points(
    opener: Any, hostile_study: StudyResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("mizumashi.report.figures.drawn", lambda figure: {})
    shutil.copytree(hostile_study.path, tmp_path / "study")
    (tmp_path / "study" / "map-images.npz").unlink()
    (tmp_path / "study" / "runs" / "0" / "neighbours.npz").unlink()
    report(tmp_path / "study")
    opened = opener((tmp_path / "study" / "report.html").read_text(encoding="utf-8"))
    page = opened.page
    assert "does not hold the pictures behind the points" in page.locator("#map").inner_text()
    assert "does not hold the neighbours" in page.locator("#copies").inner_text()
    assert page.locator("#point").count() == 0
    page.locator(".toggle input").first.click()
    page.locator("#map-plot").hover()
    assert not page.locator(".tip").is_visible()
    assert opened.faults == []


def test_many_classes_of_colour_images_stay_readable(opener: Any, hostile_study: StudyResult):
    """Of 60 classes 50 are shown, and instead of a matrix what is misread most often; sprites of RGB are JPEG."""
    facts = ReportData(hostile_study)
    random = np.random.default_rng(0)
    names = [f"class {label}" for label in range(60)]
    counts = 10 * np.eye(60, dtype=np.int64)
    counts[7, 11] = 30
    shade = random.integers(0, 256, (60, 10, 1, 1, 3)).astype(np.uint8)
    examples = np.broadcast_to(shade, (60, 10, 32, 32, 3))
    facts.__dict__ |= {  # what is read from files otherwise
        "class_names": names,
        "examples": dict.fromkeys([*STAGES, *hostile_study.tested], examples),
        "confusions": [Confusion("softmax", "negatives", "real", counts)],
    }
    opened = opener(render(facts, {}))
    page = opened.page
    assert page.locator(".growth h3").all_inner_texts() == names[:50]
    assert "10 more classes are not shown" in page.locator("#stages").inner_text()
    pictures = background(page, ".growing >> nth=0")
    assert pictures.shape == (50 * 32, 10 * 32, 3)
    np.testing.assert_allclose(pictures[16::32, 16::32].astype(int), shade[:50, :, 0, 0], atol=4)
    assert page.locator("#confusion tbody tr").all_inner_texts() == ["class 7\tclass 11\t75"]
    assert opened.faults == []


def test_the_same_files_give_the_same_page(
    hostile_study: StudyResult, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("mizumashi.report.figures.drawn", lambda figure: {})
    shutil.copytree(hostile_study.path, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "report.html").unlink()
    report(tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "report.html").read_text(encoding="utf-8") == text


def test_the_pictures_of_an_mnist_study_fit_into_a_small_page():
    """Noise is the worst that a map of 1,000 images from five sets can hold."""
    noise = np.random.default_rng(0).integers(0, 256, (1000, 28, 28, 1)).astype(np.uint8)
    assert 5 * len(sheet(noise, MAP_COLUMNS)) < 6 * 2**20


def test_every_figure_and_table_lies_beside_the_page(hostile_study: StudyResult, text: str):
    links = re.findall(r'href="((?:figures|tables)/[^"]*)"', text)
    assert len(links) > 20
    for link in links:
        assert (hostile_study.path / link).stat().st_size > 0
    written = {f"tables/{path.name}" for path in (hostile_study.path / "tables").glob("*.csv")}
    assert written == {link for link in links if link.startswith("tables")}


def background(page: "Page", selector: str) -> np.ndarray:
    """The picture behind an element, decoded by Pillow."""
    address = page.locator(selector).evaluate("element => getComputedStyle(element).backgroundImage")
    content = b64decode(address.partition("base64,")[2].rstrip('")'))
    return np.asarray(Image.open(io.BytesIO(content)))


def shown(page: "Page", selector: str, rows: int, columns: int = 1) -> tuple[int, int]:
    """The column and row of the picture that an element shows."""
    x, y = page.locator(selector).evaluate("element => getComputedStyle(element).backgroundPosition").split()[:2]
    share = [float(number.rstrip("%px")) / 100 for number in (x, y)]
    return round(share[0] * max(columns - 1, 0)), round(share[1] * max(rows - 1, 0))


def tile(page: "Page", count: int) -> np.ndarray:
    """The image in the tooltip."""
    pictures = background(page, ".tip-image")
    rows = -(-count // MAP_COLUMNS)
    column, row = shown(page, ".tip-image", rows, MAP_COLUMNS)
    return pictures.reshape(rows, 16, MAP_COLUMNS, 16)[row, :, column]


def serious(page: "Page") -> list[str]:
    """What axe-core calls serious or critical."""
    from axe_playwright_python.sync_playwright import Axe

    violations = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['help']}" for each in violations if each["impact"] in ("serious", "critical")]


@pytest.mark.slow
@pytest.mark.realdata
def test_the_page_of_mnist_and_faxes(opener: Any, data_folder: Path, tmp_path: Path):
    """The paper's study with all its images and test sets; of its GANs, four steps of a narrow one."""
    found = study("mnist", target="faxocr", out=tmp_path / "study", config=replace(TINY, seeds=1), data_dir=data_folder)
    text = (found.path / "report.html").read_text(encoding="utf-8")
    assert len(text.encode()) < 8 * 2**20
    opened = opener(text)
    use_everything(opened.page)
    assert (opened.faults, opened.left) == ([], [])
    assert opened.page.locator(".growing").count() == 10
    assert opened.page.locator(".strip.other-1").count() == 10  # faxes
    for scheme, width in (("light", 1280), ("dark", 390)):
        assert serious(opener(text, width, scheme).page) == []

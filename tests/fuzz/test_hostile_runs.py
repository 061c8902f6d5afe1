"""Files of runs and studies that lie or are damaged: each is refused in one line. All are findings of tests/fuzz."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
import seeds
import targets
from targets import READERS

from mizumashi.errors import InputError
from mizumashi.gan import checkpoint
from mizumashi.gan.config import GanConfig
from mizumashi.gan.run import GanRun
from mizumashi.report.page import draw
from mizumashi.studies.measures import measure_copies, measure_distances
from mizumashi.studies.plan import begin
from mizumashi.studies.results import StudyResult
from mizumashi.studies.training_sets import Material
from mizumashi.utils import files
from mizumashi.utils.progress import silent


def refusal(read: Any, *arguments: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(*arguments)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def changed(content: bytes, *keys: str | int, value: Any) -> str:
    """A JSON document with one part replaced."""
    document = json.loads(content)
    part = document
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("config", "latent_size"), 10**9),
        (("config", "latent_size"), "100"),
        (("config", "latent_size"), float("nan")),
        (("config", "latent_size"), 2.5),
        (("config", "widths"), [10**9, 2, 1]),
        (("config", "widths"), [0, 2, 1]),
        (("config", "widths"), [1, 2]),
        (("config", "widths"), ["1", "2", "1"]),
        (("config", "snapshots"), [10**400]),
        (("config", "snapshots"), 2),
        (("config", "precision"), "x"),
        (("config", "precision"), []),
        (("images", "size"), [10**9, 10**9]),
        (("images", "size"), [[], []]),
        (("images", "size"), [-1, -1]),
        (("images", "channels"), 10**400),
        (("images", "channels"), "1"),
        (("images", "class_names"), []),
        (("images", "class_names"), None),
        (("images", "class_names"), ["cat", 1]),
        (("images", "class_names"), ["cat", {}]),
        (("images", "class_names"), ["cat", "cat"]),
        (("images", "class_names"), [str(index) for index in range(10**5)]),
        (("images", "class_names"), ["cat", "\ud800"]),
        (("format",), "a\nb"),
        (("config",), []),
    ],
)
def test_a_run_that_no_program_can_have_made_is_refused(tmp_path: Path, keys: tuple[str, ...], value: Any):
    content = READERS["config.json"].seeds()[0]
    (tmp_path / "config.json").write_text(changed(content, *keys, value=value))
    assert str(tmp_path) in refusal(GanRun, tmp_path)


@pytest.mark.parametrize("key", ["objective", "latent_size", "widths"])
def test_a_setting_that_an_older_run_does_not_know_has_its_default(tmp_path: Path, key: str):
    document = json.loads(READERS["config.json"].seeds()[0])
    del document["config"][key]
    (tmp_path / "config.json").write_text(json.dumps(document))
    assert getattr(GanRun(tmp_path).record.config, key) == getattr(GanConfig(), key)


def test_a_run_of_no_certain_precision_is_refused(tmp_path: Path):
    document = json.loads(READERS["config.json"].seeds()[0])
    del document["config"]["precision"]
    (tmp_path / "config.json").write_text(json.dumps(document))
    assert "found the precision 'auto'" in refusal(GanRun, tmp_path)


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": 1e999}', '["\\ud800"]', "[" * 10**5])
def test_json_that_could_not_be_written_is_not_read(tmp_path: Path, text: str):
    (tmp_path / "x.json").write_text(text)
    assert "x.json: found a damaged or foreign file" in refusal(files.read_json, tmp_path / "x.json")
    (tmp_path / "x.json").write_text('["\\ud83d\\ude00"]')
    assert files.read_json(tmp_path / "x.json") == ["😀"]


def test_json_is_not_read_from_a_pipe(tmp_path: Path):
    os.mkfifo(tmp_path / "x.json")
    assert "x.json: found no file" in refusal(files.read_json, tmp_path / "x.json")


@pytest.mark.parametrize("versions", [[{"torch": 2.13}], [{"torch": float("nan")}], [3], [{"torch": "\ud800"}]])
def test_a_plan_of_odd_versions_is_refused(tmp_path: Path, versions: Any):
    (tmp_path / "plan.json").write_text(changed(READERS["plan.json"].seeds()[0], "versions", value=versions))
    assert "plan.json: found a damaged" in refusal(begin, targets._plan(), tmp_path)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("plan", "classifier_seeds"), 0),
        (("plan", "recipes", 0), 7),
        (("plan", "source", "name"), "\ud800"),
        (("cells", 0, "scores", "pets", "loss"), None),
        (("cells", 0, "scores", "pets", "loss"), [1, 2]),
        (("cells", 0, "scores", "pets", "accuracy"), "1"),
        (("plan", "gan", "objective"), {}),
        (("plan", "gan", "snapshots"), [-1]),
        (("plan", "classifier_seeds"), 10**9),
        (("plan", "classifiers"), [{"name": "softmax"}] * 50),
        (("cells", 0, "key"), "../../elsewhere"),
        (("cells", 0, "seed"), "../../elsewhere"),
    ],
)
def test_results_that_are_none_are_refused(tmp_path: Path, keys: tuple[str | int, ...], value: Any):
    study = targets._copied(targets._study(), tmp_path / "study")
    (study / "results.json").write_text(changed(READERS["results.json"].seeds()[0], *keys, value=value))
    assert "damaged or foreign" in refusal(draw, study)
    assert "results.json" in refusal(draw, study)
    assert StudyResult.read(targets._study()).recipes


@pytest.mark.parametrize(
    "content", ["7", "null", "[{}]", '{"gan@1": 3}', '{"gan@1": {"accuracy": 1}}', '{"share": "x"}']
)
def test_measures_that_are_none_are_refused(tmp_path: Path, content: str):
    path = tmp_path / "distances.json"
    path.write_text(content)
    (neighbours := tmp_path / "neighbours.npz").touch()  # what is measured along with copies is there
    material = Material(0, seeds.pets().train, {}, {})
    line = refusal(measure_distances, material, path, silent)
    assert "remove it to measure again" in line
    if not content.startswith('{"gan'):
        line = refusal(measure_copies, material, seeds.pets().test, path, neighbours, silent)
        assert "remove it to measure again" in line


@pytest.mark.parametrize("change", ["shape", "missing", "renamed"])
def test_a_checkpoint_that_would_fail_at_the_next_step_is_refused(tmp_path: Path, change: str):
    content = READERS["checkpoint"].seeds()[0]
    size = struct.unpack_from("<Q", content)[0]
    header = json.loads(content[8 : 8 + size])
    moment = "generator_optimizer/0/exp_avg"
    if change == "shape":
        header[moment]["shape"].reverse()
    else:
        header["other" if change == "renamed" else "generator_optimizer/0/extra"] = header.pop(moment)
    packed = json.dumps(header).encode()
    parts = targets._parts()
    checkpoint.save(tmp_path, parts, checkpoint.read_log(targets._gan_run()))
    path = tmp_path / "checkpoint" / "state.safetensors"
    path.write_bytes(struct.pack("<Q", len(packed)) + packed + content[8 + size :])
    assert "state.safetensors: found a damaged or foreign file" in refusal(checkpoint.load, tmp_path, parts)


def test_a_refusal_is_one_line_whatever_it_quotes():
    assert str(InputError("found a\nb; expected\r\nc\u2028d")) == "found a b; expected c d"

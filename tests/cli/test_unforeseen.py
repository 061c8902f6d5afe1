"""What nobody foresaw, and streams and paths that are not as usual: one line each."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mizumashi.cli.main import main
from mizumashi.errors import InputError, TaskError


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let every study fail in some way."""

    def plant(error: BaseException) -> None:
        def study(*arguments: object, **options: object) -> None:
            raise error

        monkeypatch.setattr("mizumashi.api.study", study)

    return plant


def test_an_error_that_nobody_foresaw_is_one_line_and_a_file(
    fault: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    fault(IndexError("index 3 is out of\nbounds \x1b[31m"))
    assert main(["study", "digits", "--out", str(tmp_path / "studies" / "a")]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "\x1b" not in said
    assert "found an error that nobody foresaw (IndexError: index 3 is out of bounds" in said
    # The folder above the study is not there: the next choice is the current one, then that for temporary files.
    path = Path(re.search(r"its traceback is in (\S+\.txt)", said)[1])
    content = path.read_text()
    path.unlink()
    assert "IndexError: index 3 is out of" in content
    assert "in study\n" in content
    assert "['study', 'digits', '--out'" in content
    assert "torch 2." in content


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("y"), AssertionError(), RecursionError("deep")])
def test_the_file_lies_beside_the_study(
    fault: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception
):
    fault(error)
    assert main(["study", "digits", "--out", str(tmp_path / "a")]) == 1
    (path,) = tmp_path.iterdir()
    assert re.fullmatch(r"mizumashi-error-\d{8}T\d{6}Z-[0-9a-f]{8}\.txt", path.name)
    assert str(path) in capsys.readouterr().err


def test_a_killed_worker_needs_no_file_but_one_that_met_an_error_does(
    fault: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    killed, broken = (
        TaskError("the GAN of seed 3: its process was killed"),
        TaskError("the GAN of seed 3: KeyError: 'x'"),
    )
    broken.add_note("In the process of the GAN of seed 3:\nTraceback of the worker")
    fault(killed)
    assert main(["study", "digits", "--out", str(tmp_path / "a")]) == 1
    assert capsys.readouterr().err == "mizumashi: the GAN of seed 3: its process was killed\n"
    fault(broken)
    assert main(["study", "digits", "--out", str(tmp_path / "a")]) == 1
    (path,) = tmp_path.iterdir()
    assert "Traceback of the worker" in path.read_text()
    assert "the GAN of seed 3: KeyError: 'x'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["data", "--help"], ["data", "digits"]])
def test_a_full_standard_output_is_one_line(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(arguments) == 1
        monkeypatch.undo()
    said = capsys.readouterr().err
    assert said == (
        "mizumashi: found that standard output takes no more (No space left on device); expected room for the results\n"
    )


def test_closed_streams_are_no_error():
    """As a job of the system's may start it: no standard output, or no standard error, or neither."""
    for closed, arguments, code in ((">&-", "data digits", 0), ("2>&-", "data nowhere", 2), (">&- 2>&-", "--help", 0)):
        ended = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m mizumashi {arguments} {closed}"], capture_output=True, check=False
        )
        assert (ended.returncode, ended.stderr, ended.stdout) == (code, b"", b"")


@pytest.mark.parametrize("shape", [(20, 0, 16), (20, 16, 0), (20, 0, 0, 3)])
def test_images_without_pixels_are_refused(tmp_path: Path, shape: tuple[int, ...], capsys: pytest.CaptureFixture[str]):
    np.savez(tmp_path / "none.npz", images=np.zeros(shape, np.uint8), labels=np.arange(20) % 2)
    for command in ("data", "study"):
        assert main([command, str(tmp_path / "none.npz")]) == 2
        assert f"found images of {shape[1]}x{shape[2]} pixels" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' paths are text")
def test_a_path_that_is_no_text_is_a_path(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/n\xff"))
    path.symlink_to(pictures)
    assert main(["data", str(path), "--out", str(tmp_path / "b\udcfe.npz"), "--format", "npz"]) == 0
    assert main(["data", str(tmp_path / "b\udcfe.npz"), "--json"]) == 0
    gan = "--steps 1 --widths 2 2 2 --batch-size 8 --latent-size 2 --precision 32-true"
    study, command = f"{tmp_path}/study", ["study", str(tmp_path / "b\udcfe.npz"), "--recipes", "gan@1", *gan.split()]
    assert main([*command, "--out", f"{tmp_path}/n\udcfe"]) == 2
    assert "whose name is no text in UTF-8" in capsys.readouterr().err  # safetensors opens no such path
    assert main([*command, "--out", study]) == 0
    capsys.readouterr()
    assert main(["generate", study, "--recipe", "real", "--out", str(tmp_path / "again")]) == 2
    assert "found a source that has no path; expected its images again (--images)" in capsys.readouterr().err
    images = ["--images", str(tmp_path / "b\udcfe.npz")]
    assert main(["generate", study, "--recipe", "real", "--out", str(tmp_path / "again"), *images]) == 0


def test_an_unusable_cache_is_not_called_a_failed_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from mizumashi.data.catalog import find

    monkeypatch.delenv("MIZUMASHI_DATA", raising=False)
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache" / name)
    with pytest.raises(InputError, match=r"found a file at \S+cache; expected a folder, to keep downloads in \S+"):
        find("mnist")


def test_a_full_cache_is_not_called_a_failed_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from mizumashi.data.catalog import find

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.delenv("MIZUMASHI_DATA", raising=False)
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / name)
    monkeypatch.setattr("pooch.retrieve", full)
    with pytest.raises(InputError, match=r"cannot download mnist \(\S+/mizumashi/mnist: No space left on device\)"):
        find("mnist")


def test_a_stream_that_cannot_show_a_letter_shows_an_escape(monkeypatch: pytest.MonkeyPatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stderr", stream)
    assert main(["data", "größer"]) == 2
    stream.flush()
    assert b"gr\\xf6\\xdfer" in stream.buffer.getvalue()

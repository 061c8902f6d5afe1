"""`mizumashi study` as a user starts it: in a shell, in some folder, with several seeds."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from mizumashi.data.readers import open_images
from mizumashi.gan.config import GanConfig, Precision
from mizumashi.gan.training import train
from mizumashi.studies.results import StudyResult
from mizumashi.utils.side_by_side import at_once

SMALL = GanConfig(snapshots=(20,), steps=20, batch_size=8, latent_size=8, widths=(4, 8, 8))
STEPS = 600
"""So many that the study does not do the GANs itself, but starts processes for them."""

COMMAND = f"--steps {STEPS} --snapshots 20 {STEPS} --batch-size 8 --latent-size 8 --widths 4 8 8".split()


def test_two_seeds_train_in_processes_of_their_own_to_a_finished_report(tmp_path: Path, precision: Precision):
    if at_once() < 2:
        pytest.skip("one core: GANs train one after the other")
    command = ["study", "digits", "--seeds", "2", "--recipes", "real", f"gan@{STEPS}", "--accelerator", "cpu"]
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "mizumashi", *command, *COMMAND, "--precision", precision],
            cwd=tmp_path,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            workers = workers_until_the_end_of(process)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0, (tmp_path / "said").read_text()
    assert workers == 2
    folder = tmp_path / "studies" / "digits"
    result = StudyResult.read(folder)
    assert result.seeds == [0, 1]
    assert result.accuracy("softmax").shape == (2, 3, 2)  # recipes, test sets, seeds
    assert json.loads((folder / "results.json").read_text())["plan"]["gan"]["precision"] == precision
    assert str(result.verdict).splitlines()[0] in (tmp_path / "said").read_text()
    assert str(result.verdict.cases[0].sentence) in (folder / "report.md").read_text()
    assert (folder / "report.html").stat().st_size > 100_000
    for seed in result.seeds:
        ours = folder / "runs" / str(seed) / "gan" / "snapshots" / "step-000020.safetensors"
        assert ours.read_bytes() == snapshot_of(seed, precision, tmp_path / f"alone {seed}")


def workers_until_the_end_of(process: subprocess.Popen[bytes]) -> int:
    """The largest number of workers that a study has at the same time; returns when it ends."""
    most, study, deadline = 0, psutil.Process(process.pid), time.monotonic() + 300
    while process.poll() is None:
        assert time.monotonic() < deadline
        try:
            started = [" ".join(child.cmdline()) for child in study.children()]
        except psutil.NoSuchProcess:  # one ended just now
            continue
        most = max(most, sum("executors.worker" in words for words in started))
        time.sleep(0.1)
    return most


def snapshot_of(seed: int, precision: Precision, folder: Path) -> bytes:
    """What the same GAN is after 20 steps when it is trained here, by itself, on as many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, at_once() // 2))
    try:
        config = replace(SMALL, seed=seed, precision=precision)
        run = train(open_images("digits"), folder, config, accelerator="cpu")
    finally:
        torch.set_num_threads(before)
    return run.snapshot(20).path.read_bytes()

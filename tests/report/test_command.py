"""The command that a report names does the same study again."""

import shlex
from dataclasses import replace

import numpy as np
import pytest

from mizumashi.cli.main import parse
from mizumashi.data.images import LabelledImages
from mizumashi.gan.config import GanConfig
from mizumashi.gan.presets import PRESETS
from mizumashi.report.command import repeating_command
from mizumashi.studies.config import Regime, StudyConfig
from mizumashi.studies.plan import Plan

PART = LabelledImages.from_arrays(np.zeros((4, 16, 16), np.uint8), [0, 1, 0, 1], ["a b", "$(reboot)"])
SOURCE = LabelledImages.from_parts(PART, PART, name="pets")
GAN = GanConfig(precision="32-true")

CONFIGS = {
    "defaults": (StudyConfig(GAN), "--precision 32-true"),
    "more seeds": (StudyConfig(GAN, seeds=6), "--seeds 6 --precision 32-true"),
    "small": (StudyConfig(replace(PRESETS["small"](), precision="32-true")), "--preset small --precision 32-true"),
    "fast": (
        StudyConfig(replace(PRESETS["fast"](), precision="32-true", seed=4)),
        "--preset fast --seed 4 --precision 32-true",
    ),
    "another GAN": (
        StudyConfig(GanConfig(9, (3, 9), 8, 7, (1, 2, 3), "minimax", 1e-5, "decay", 0.2, 4, "16-mixed")),
        "--steps 9 --snapshots 3 9 --batch-size 8 --latent-size 7 --widths 1 2 3 --objective minimax "
        "--learning-rate 1e-05 --schedule decay --beta1 0.2 --seed 4 --precision 16-mixed",
    ),
    "steps alone": (StudyConfig(replace(GAN, steps=600)), "--steps 600 --precision 32-true"),
    "only real": (StudyConfig(GAN, recipes=("real",)), "--recipes real --precision 32-true"),
    "choosing": (
        StudyConfig(
            *(GAN, 3, 2, ("real+smote", "gan@300"), ("cnn", "softmax"), True, True, True),
            Regime(5, ("a b:0.1", "$(reboot):0.5"), target_per_class=1),
        ),
        None,
    ),
    "balancing": (
        StudyConfig(GAN, regime=Regime(balance=True)),
        "--balance --precision 32-true",
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_command_asks_for_the_same_study(name: str, bfloat16_is_fast: bool):
    config, options = CONFIGS[name]
    plan = Plan(SOURCE, SOURCE.test.renamed("others"), None, config, ("/sets/my pets", "faxocr"))
    words = shlex.split(repeating_command(plan.record()))
    assert words[:5] == ["mizumashi", "study", "/sets/my pets", "--target", "faxocr"]
    if options is not None:
        assert words[5:] == options.split()
    command = parse(words[1:])
    again = replace(plan, config=command.config)  # type: ignore[union-attr]
    assert again.record() == plan.record()
    assert again.record().config == plan.record().config


def test_arrays_have_no_name():
    plan = Plan(SOURCE, None, None, StudyConfig(GAN))
    assert repeating_command(plan.record()) == "mizumashi study IMAGES --precision 32-true"


@pytest.mark.parametrize("origin", ["--help\n; reboot", "--out=/elsewhere", "-x"])
def test_an_origin_is_no_option(origin: str):
    plan = Plan(SOURCE, SOURCE.test.renamed("others"), None, StudyConfig(GAN), (origin, origin))
    command = parse(shlex.split(repeating_command(plan.record()))[1:])
    assert (command.images, command.target) == (f"./{origin}",) * 2  # type: ignore[union-attr]
    assert command.out is None  # type: ignore[union-attr]

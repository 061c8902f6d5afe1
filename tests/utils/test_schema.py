import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from mizumashi.classifiers.classical import Classical
from mizumashi.classifiers.cnn import CnnConfig
from mizumashi.classifiers.softmax import SoftmaxConfig
from mizumashi.cli.main import main
from mizumashi.errors import InputError
from mizumashi.gan.config import GanConfig
from mizumashi.studies.config import Regime, StudyConfig
from mizumashi.utils.schema import from_json


@pytest.mark.parametrize(
    ("config", "wrong", "said"),
    [
        (
            GanConfig(),
            {"objective": "hinge"},
            "objective 'hinge'; expected 'non-saturating' or 'minimax' (--objective)",
        ),
        (GanConfig(), {"schedule": "cosine"}, "schedule 'cosine'; expected 'constant' or 'decay' (--schedule)"),
        (GanConfig(), {"schedule": "Decay"}, "schedule 'Decay' (did you mean 'decay'?); expected"),
        (GanConfig(), {"precision": "64-true"}, "expected 'auto', '32-true', 'bf16-mixed' or '16-mixed' (--precision)"),
        (GanConfig(), {"steps": True}, "steps True; expected a whole number (--steps)"),
        (GanConfig(), {"steps": 2.5}, "steps 2.5; expected a whole number"),
        (GanConfig(), {"steps": 0}, "steps 0; expected 1 to 1000000000"),
        (GanConfig(), {"learning_rate": float("nan")}, "learning_rate nan; expected 1e-12 to 1000.0"),
        (GanConfig(), {"widths": (8, 8)}, "widths (8, 8); expected 3 of a whole number each, in a tuple"),
        (GanConfig(), {"widths": (8, 8, 5000)}, "widths 5000; expected 1 to 4096"),
        (GanConfig(), {"snapshots": "12"}, "snapshots '12'; expected a whole number each"),
        (GanConfig(), {"seed": None}, "seed None; expected a whole number"),
        (SoftmaxConfig(), {"precision": "auto"}, "precision 'auto'; expected '32-true' or 'bf16-mixed'"),
        (SoftmaxConfig(), {"steps": 0}, "steps 0; expected 1 to"),
        (CnnConfig(), {"precision": "16-mixed"}, "precision '16-mixed'"),
        (CnnConfig(), {"steps": 1.0}, "steps 1.0; expected a whole number or None"),
        (Classical(), {"flip": "yes"}, "flip 'yes'; expected True or False"),
        (Classical(), {"shift_share": 0.6}, "shift_share 0.6; expected 0.0 to 0.5"),
        (StudyConfig(), {"seeds": 10_001}, "seeds 10001; expected 1 to 10000 (--seeds)"),
        (StudyConfig(), {"recipes": (1,)}, "recipes (1,); expected text each"),
        (StudyConfig(), {"gan": {"steps": 8}}, "gan {'steps': 8}; expected a GanConfig"),
        (Regime(), {"per_class": 0}, "per_class 0; expected 1 to"),
    ],
)
def test_one_rule_from_python_and_from_json(config: Any, wrong: dict[str, Any], said: str):
    with pytest.raises(InputError) as refused:
        replace(config, **wrong)
    assert said in str(refused.value)
    if wrong != {"gan": {"steps": 8}}:  # JSON's way to say it
        with pytest.raises(ValueError, match=r"Config|Classical|Regime") as refused_json:
            from_json(type(config), json.loads(json.dumps(asdict(config) | wrong)))
        assert not isinstance(refused_json.value, InputError)  # a file has no options


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--objective hinge", "found 'hinge' for --objective; expected one of non-saturating, minimax;"),
        ("--precision 64", "found '64' for --precision; expected one of auto, 32-true, bf16-mixed, 16-mixed;"),
        ("--widths 0 8 8", "found widths 0; expected 1 to 4096 (--widths);"),
        ("--steps 0", "found steps 0; expected 1 to 1000000000 (--steps);"),
        ("--learning-rate nan", "found learning_rate nan; expected 1e-12 to 1000.0 (--learning-rate);"),
        ("--snapshots 3 2", "found snapshots (3, 2); expected ascending steps from 1, each once (--snapshots);"),
        ("--seeds 0", "found seeds 0; expected 1 to 10000 (--seeds);"),
        ("--per-class 0", "found per_class 0; expected 1 to 1000000000 (--per-class);"),
    ],
)
def test_the_same_words_from_the_command_line(option: str, said: str, capsys: pytest.CaptureFixture[str]):
    assert main(["study", "digits", "--out", "nowhere", *option.split()]) == 2
    assert capsys.readouterr().err == f"mizumashi: {said} see `mizumashi study --help`\n"


@pytest.mark.parametrize(
    "config", [GanConfig(steps=9, snapshots=(3, 9)), StudyConfig(regime=Regime(imbalance=("b:0.1",))), CnnConfig()]
)
def test_json_gives_back_what_it_was_made_of(config: Any):
    assert from_json(type(config), json.loads(json.dumps(asdict(config)))) == config


def test_fields_that_json_lacks_have_their_defaults_and_unknown_ones_are_refused():
    assert from_json(GanConfig, {"steps": 9}) == GanConfig(steps=9)
    with pytest.raises(ValueError, match="GanConfig has a field 'stepps', which nothing knows"):
        from_json(GanConfig, {"stepps": 9})
    with pytest.raises(ValueError, match="GanConfig is no object"):
        from_json(GanConfig, [9])

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mizumashi.errors import InputError
from mizumashi.gan import checkpoint


@pytest.fixture
def parts() -> checkpoint.Parts:
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(network.parameters(), 0.1)
    network(torch.ones(3)).sum().backward()
    optimizer.step()
    return {"network": network, "optimizer": optimizer}


def fresh() -> checkpoint.Parts:
    network = torch.nn.Linear(3, 2)
    return {"network": network, "optimizer": torch.optim.Adam(network.parameters(), 0.1)}


def log() -> checkpoint.Log:
    return checkpoint.Log([(0.1, 1 / 3), (2.0, 1e-300)], {2: [0.5, 1.0]})


def state(parts: checkpoint.Parts) -> dict[str, torch.Tensor]:
    moments = parts["optimizer"].state_dict()["state"]
    return parts["network"].state_dict() | {
        f"{index}/{key}": value for index, values in moments.items() for key, value in values.items()
    }


def test_what_is_saved_comes_back_to_the_last_bit(tmp_path: Path, parts: checkpoint.Parts):
    checkpoint.save(tmp_path, parts, log())
    there = fresh()
    assert checkpoint.load(tmp_path, there) == log()
    assert len(state(parts)) == 8
    torch.testing.assert_close(state(there), state(parts), rtol=0, atol=0)


def test_equal_states_are_equal_bytes(tmp_path: Path, parts: checkpoint.Parts):
    for name in "abcd":
        checkpoint.save(tmp_path / name, parts, log())
    assert len({path.read_bytes() for path in tmp_path.rglob("state.safetensors")}) == 1


def test_a_log_that_is_ahead_is_cut(tmp_path: Path, parts: checkpoint.Parts):
    checkpoint.save(tmp_path, parts, log())
    ahead = checkpoint.Log([*log().losses, (1.0, 1.0)], log().variation | {3: [0.0, 0.0]})
    (tmp_path / "log.jsonl").write_text("\n".join(ahead.lines()) + "\n")
    assert checkpoint.read_log(tmp_path) == ahead
    assert checkpoint.load(tmp_path, fresh()) == log()


def test_the_scale_of_the_loss_is_kept(tmp_path: Path):
    scaler, other = (torch.amp.GradScaler("cpu", init_scale=scale) for scale in (2.0**20, 2.0))
    scaler.load_state_dict(scaler.state_dict() | {"_growth_tracker": 7})
    checkpoint.save(tmp_path, {"scaler": scaler}, log())
    checkpoint.load(tmp_path, {"scaler": other})
    assert other.state_dict() == scaler.state_dict()
    assert other.scale(torch.ones(())).item() == 2.0**20


def test_the_format_before_is_read_and_a_later_one_refused_by_name(tmp_path: Path, parts: checkpoint.Parts):
    checkpoint.save(tmp_path, parts, log())
    path = tmp_path / "checkpoint" / "state.safetensors"
    tensors = load_file(path)
    save_file(tensors, path)  # format 1 had no mark
    assert checkpoint.load(tmp_path, fresh()) == log()
    save_file(tensors, path, {"format": "3 of mizumashi 9.0"})
    with pytest.raises(InputError, match=r"found a checkpoint of format 3 of mizumashi 9\.0; expected format 2"):
        checkpoint.load(tmp_path, fresh())


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 100])
def test_a_damaged_checkpoint_is_one_line(tmp_path: Path, parts: checkpoint.Parts, content: bytes):
    checkpoint.save(tmp_path, parts, log())
    (tmp_path / "checkpoint" / "state.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"state\.safetensors: found a damaged or foreign file"):
        checkpoint.load(tmp_path, fresh())

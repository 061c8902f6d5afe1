import random
import re
import signal
import time
from pathlib import Path

import crash
import pytest
from processes import Server, contents_of, said
from small_jobs import Inputs, small_jobs, undisturbed

pytestmark = pytest.mark.slow

GOES_ON = {"train": "the same command goes on", "study": "the same command goes on", "generate": "nothing was written"}


@pytest.mark.parametrize("name", ["train", "generate idx", "generate folder", "generate npz", "study", "study apart"])
def test_a_signal_at_any_moment_is_one_line_that_says_how_to_go_on(
    server: Server, inputs: Inputs, tmp_path: Path, name: str
):
    job, chance = small_jobs(inputs)[name], random.Random(name)
    reference = undisturbed(job, tmp_path / "undisturbed", server)
    spoken_in_all = len(said(tmp_path / "undisturbed").read_bytes())
    stopped = 0
    for trial in range(12):
        case = tmp_path / str(trial)
        case.mkdir()
        process = server.start(job.arguments, case, apart=job.apart)
        moment = chance.uniform(0, spoken_in_all)  # by what it has said: how fast it is, other work decides
        while process.poll() is None and said(case).stat().st_size < moment:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.01))
        process.send_signal((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)[trial % 3])
        code = process.wait()
        spoken = said(case).read_text().splitlines()
        if code != 0:  # the signal may have come too late
            stopped += 1
            assert code == 130, spoken[-5:]
            assert [line for line in spoken if line.startswith("mizumashi: ")] == spoken[-1:]
            before = crash.state_of(case, job)
            ended = "is finished" in spoken[-1] or (job.whole and before.contents)  # in its last moment
            assert ended or GOES_ON[job.arguments[0]] in spoken[-1]
            assert "nothing was written" not in spoken[-1] or contents_of(case) == {}
            if stop := re.search(r"stopped after step (\d+) of", spoken[-1]):
                assert int(stop[1]) in before.steps.values(), "its checkpoint is not there"
            assert not list(case.rglob(".*"))
            assert server.run(job.arguments, case) in ((0, 2) if job.whole and before.contents else (0,))
            tally = crash.Tally()
            crash.judge(case, job, reference, before, crash.state_of(case, job), tally, told_steps=True)
            assert tally.faults == []
        assert crash.unlike(contents_of(case), reference.tree) == []
    assert stopped > 6

"""Alternating runs of variants, each in a process of its own, and the record of what came out.

Variants take turns, so that whatever else slows the machine down slows all of them; the record holds medians,
spread, n, the machine, the versions and the commit.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"
Runs = dict[str, list[dict[str, float]]]


def run_alternating(script: str, variants: Sequence[str], rounds: int) -> Runs:
    """Run `python script VARIANT` for each variant in turn, `rounds` times; each prints one JSON object last.

    What a run printed is given with "wall (s)", the life of its process from a cold start.
    """
    runs: Runs = {variant: [] for variant in variants}
    for turn in range(rounds):
        for variant in variants if turn % 2 == 0 else reversed(variants):
            start = time.perf_counter()
            done = subprocess.run([sys.executable, script, variant], check=True, capture_output=True, text=True)
            wall = {"wall (s)": time.perf_counter() - start}
            runs[variant].append(wall | json.loads(done.stdout.splitlines()[-1]))
            print(f"round {turn + 1} of {rounds}  {variant}: {runs[variant][-1]}", file=sys.stderr, flush=True)
    return runs


def summary(runs: Runs, what: str) -> dict[str, dict[str, float]]:
    """Median, lowest and highest of one number for each variant, and n."""
    found = {}
    for variant, numbers in runs.items():
        values = [number[what] for number in numbers]
        found[variant] = {
            "median": float(np.median(values)),
            "lowest": min(values),
            "highest": max(values),
            "n": len(values),
        }
    return found


def machine() -> dict[str, str | int]:
    """What was measured on."""
    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True)
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": version("torch"),
        "numpy": version("numpy"),
        "commit": commit.stdout.strip(),
    }


def record(name: str, result: dict[str, object]) -> None:
    """Write benchmarks/results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({"machine": machine()} | result, indent=2) + "\n")
    print(f"written to {RESULTS / name}.json", file=sys.stderr)


def table(found: dict[str, dict[str, float]], unit: str, baseline: str) -> str:
    """Markdown: each variant's median and range, and how many times faster than the baseline it is."""
    lines = [f"| variant | {unit}, median (lowest to highest) | n | times as fast |", "|:---|---:|---:|---:|"]
    for variant, row in found.items():
        ratio = found[baseline]["median"] / row["median"]
        span = f"{row['median']:.4g} ({row['lowest']:.4g} to {row['highest']:.4g})"
        lines.append(f"| {variant} | {span} | {row['n']} | {ratio:.2f} |")
    return "\n".join(lines)


def main(script: str, about: str, variants: Sequence[str], measure: Callable[[str], None]) -> Runs | None:
    """The command line of a benchmark: measure the variant it names, or let all take turns and give their runs."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("variant", nargs="?", choices=variants)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.variant:
        measure(arguments.variant)
        return None
    return run_alternating(script, variants, arguments.rounds)

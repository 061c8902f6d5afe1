"""Lets pytest find the fuzzer's modules as `python tests/fuzz/run.py` does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

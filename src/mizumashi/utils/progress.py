"""How long work tells how far it is."""

from collections.abc import Callable

Progress = Callable[[str, int, int, str], None]
"""`progress(task, done, total, note)`: called as a task goes on; `note` may be empty."""


def silent(task: str, done: int, total: int, note: str) -> None:
    """Progress that nobody watches."""

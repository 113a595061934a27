"""Progress of a long command that counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def counting(what: str) -> Iterator[Callable[..., None]]:
    """A bar that is told `(done)`, `(done, total)` or `(done, total, what)`."""
    with Progress(BarColumn(), TextColumn("{task.completed:,.0f} {task.description}"), TimeElapsedColumn()) as progress:
        task = progress.add_task(what, total=None)

        def step(done: int, total: int | None = None, what: str = what) -> None:
            progress.update(task, completed=done, total=total, description=what)

        yield step

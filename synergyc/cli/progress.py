"""Progress of long work on standard error: a bar on a terminal, a line for each stage elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def stages(*, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Yield a function that is called with each stage's name as it begins."""
    started = time.perf_counter()
    if quiet:
        yield lambda _: None
    elif not sys.stderr.isatty():
        yield lambda name: click.echo(f"[{time.perf_counter() - started:6.1f} s] {name}", err=True)
    else:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("start")
            yield lambda name: progress.update(task, description=name)


@contextmanager
def counted(total: int, what: str, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Yield a function that is called with how many of ``total`` are done."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def parts(*, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function that takes the name of a part that begins, and how many of how many are done."""
    started = time.perf_counter()
    if quiet:
        yield lambda name, done, total: None
    elif not sys.stderr.isatty():

        def line(name: str, done: int, total: int) -> None:
            click.echo(f"[{time.perf_counter() - started:6.1f} s] {done + 1} of {total}: {name}", err=True)

        yield line
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("start", total=None)
            yield lambda name, done, total: progress.update(
                task, description=name, completed=done, total=total
            )

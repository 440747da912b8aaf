"""Results of benchmarks: our time and a bare loop's from the same run, and a table of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

HEADINGS = ("what", "ours", "compared to", "that", "ours / that", "goal")


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        what: the measured operation.
        ours: our result, in ``unit``.
        against: the name of the bare loop, or of another program that it is compared with.
        bare: the result of that, in the same unit.
        goal: the required ratio; empty if there is none.
    """

    what: str
    ours: float
    against: str
    bare: float
    unit: str
    goal: str = ""

    @property
    def ratio(self) -> float:
        """Ours by theirs: below 1 is better for times and sizes, above 1 for events per second."""
        return self.ours / self.bare

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the figure's row."""
        ours, bare = (f"{_rounded(value)} {self.unit}" for value in (self.ours, self.bare))
        return self.what, ours, self.against, bare, f"{self.ratio:.2f}", self.goal

    def as_json(self) -> dict[str, object]:
        """Return the figure as JSON."""
        return {
            "what": self.what,
            "ours": self.ours,
            "against": self.against,
            "bare": self.bare,
            "unit": self.unit,
            "ratio": self.ratio,
            "goal": self.goal,
        }


def _rounded(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(figure.cells() for figure in figures)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


async def best(rounds: int, *measures: Callable[[], Awaitable[float]]) -> list[float]:
    """Run several measurements alternately, and return the lowest result of each.

    Other work on the machine only adds to times, and alternating measurements are affected equally.
    """
    lowest = [float("inf")] * len(measures)
    for _ in range(rounds):
        for number, measure in enumerate(measures):
            lowest[number] = min(lowest[number], await measure())
    return lowest


def report(figures: Sequence[Figure]) -> None:
    """Print the table of one benchmark."""
    print(table(figures))

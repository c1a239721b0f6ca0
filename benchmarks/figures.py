"""Measured figures beside the bounds they are held to."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measured figure beside the bounds it is held to; `at_most` turns them round."""

    name: str
    value: float
    floor: float
    goal: float
    at_most: bool = False

    @property
    def verdict(self) -> str:
        """`goal`, `floor` or `UNDER`: the better of the two that is reached."""
        reached = (lambda bound: self.value <= bound) if self.at_most else self._reaches
        if reached(self.goal):
            return "goal"
        return "floor" if reached(self.floor) else "UNDER"

    def _reaches(self, bound: float) -> bool:
        return self.value >= bound


def report(figures: Sequence[Figure]) -> bool:
    """Print each figure with its bounds; gives whether one is under its floor."""
    for figure in figures:
        bounds = f"floor {figure.floor:g}, goal {figure.goal:g}"
        print(f"{figure.name:40}{figure.value:>10.4g}  {bounds:30}{figure.verdict}")
    return any(figure.verdict == "UNDER" for figure in figures)

"""A row of the report, and what it is measured against."""

from dataclasses import dataclass


@dataclass
class Goal:
    """Ours has to be at least, or at most, `factor` times what `against` has: a contender in the same row, the same
    of ours in another row, or nothing, which makes the factor itself the bound."""

    least: bool
    factor: float
    against: object = None

    def shown(self, unit):
        what = {None: unit}.get(self.against, f"× {getattr(self.against, 'name', self.against)}")
        return f"{'≥' if self.least else '≤'} {self.factor:g} {what}".rstrip()

    def met(self, ours, theirs):
        # What is counted in whole numbers is exact; the rest is rounded as it is shown.
        ratio = round(ours / theirs, 3) if theirs else ours
        return ratio >= self.factor if self.least else ratio <= self.factor


def at_least(factor, against=None):
    return Goal(True, factor, against)


def at_most(factor, against=None):
    return Goal(False, factor, against)


@dataclass(eq=False)
class Row:
    """One line: its unit and its goals."""

    name: str
    unit: str
    goals: tuple = ()

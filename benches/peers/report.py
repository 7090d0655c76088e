"""The medians as a Markdown table, with ours as a ratio of each contender's, and the goals that are missed."""

import os
import statistics

NAMES = {
    "portcullis": "Portcullis",
    "direct": "direct",
    "proxy_cache": "nginx `proxy_cache`",
    "static": "nginx static",
    "varnish": "varnish",
    "distribution": "distribution 3.1",
    "registry": "docker-registry 2.8",
}


def table(bench, rows):
    """All rows that were measured."""
    medians = {key: statistics.median(values) for key, values in bench.values.items()}
    lines = ["| work | unit | " + " | ".join(NAMES.values()) + " | goals |", "|---|---|" + "---|" * (len(NAMES) + 1)]
    missed = total = 0
    for row in rows:
        ours = medians.get((row, "portcullis"))
        if ours is None:
            continue
        cells = [cell(medians.get((row, name)), ours, name) for name in NAMES]
        goals = [goal_shown(goal, row, ours, medians) for goal in row.goals]
        total += len(goals)
        missed += sum("✗" in goal for goal in goals)
        lines.append(f"| {row.name} | {row.unit} | " + " | ".join(cells) + f" | {'; '.join(goals)} |")
    return "\n".join([circumstances(bench.options), "", *lines, "", f"{missed} of {total} goals missed (✗)."])


def circumstances(options):
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (f"Medians of {options.rounds} rounds of {options.seconds} s on {os.cpu_count()} processors, the load beside; "
            f"load averages at the end {load}. In brackets: Portcullis as a multiple.")


def cell(value, ours, name):
    """A contender's value with, in brackets, ours as a multiple of it."""
    if value is None:
        return "–"
    ratio = f" ({ours / value:.2f})" if name != "portcullis" and value else ""
    return number(value) + ratio


def number(value):
    if value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.4g}" if value < 100 else f"{value:.0f}"


def goal_shown(goal, row, ours, medians):
    theirs = None
    if goal.against is not None:
        theirs = medians.get((row, goal.against) if isinstance(goal.against, str) else (goal.against, "portcullis"))
        if theirs is None:
            return f"{goal.shown(row.unit)} ?"
    return f"{goal.shown(row.unit)} {'✓' if goal.met(ours, theirs) else '✗'}"

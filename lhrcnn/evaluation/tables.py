"""Metrics as text tables and as JSON."""

import json
import math

from lhrcnn.evaluation.metrics import METRICS

WIDTH = 100  # characters of a line


def format_tables(scored):
    """The tables of {metric: its numbers}, as `scoring.score` returns them, as lines of text.

    First the tables of the metrics that have one, then the numbers of each class, sorted by the
    first of them, then the headline numbers. n/a stands where there is nothing to find; at most
    `WIDTH` characters per line, where the names of the classes leave room."""
    tables = [_filled(METRICS[name].table, scored[name]) for name in scored if METRICS[name].table]
    of_classes = {name: numbers for name, numbers in scored.items() if numbers.get("per_class")}
    if of_classes:
        tables.append(_class_table(of_classes))
    return "\n\n".join([*tables, summary(scored)])


def summary(scored):
    """One line with the headline numbers, such as `AP 0.505  AP50 0.697  AP75 0.573`."""
    parts = []
    for name, numbers in scored.items():
        main = METRICS[name].main
        parts.append(_filled(METRICS[name].summary or f"{name} {main} {{{main}}}", numbers))
    return "  ".join(parts)


def to_json(metrics):
    """The metrics as JSON text; numbers that are not finite become null."""
    return json.dumps(_finite(metrics), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value):
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if hasattr(value, "item"):  # NumPy scalars
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value):
    return "n/a" if math.isnan(value) else f"{value:.3f}"


def _filled(text, numbers):
    shown = {name: _number(value) for name, value in numbers.items() if name != "per_class"}
    return text.format_map(shown)


def _class_table(scored):
    """A row per class with its number by every metric, in as many columns of rows as fit."""
    columns = {
        name: (METRICS[name].column or name, numbers["per_class"])
        for name, numbers in scored.items()
    }
    _, leading = next(iter(columns.values()))
    names = sorted(leading, key=lambda name: (math.isnan(leading[name]), -leading[name], name))
    longest = max(len(name) for name in ["class", *names])
    rows = [
        f"{name:<{longest}}"
        + "".join(f"  {_number(values.get(name, math.nan)):>5}" for _, values in columns.values())
        for name in names
    ]
    head = f"{'class':<{longest}}" + "".join(f"  {title:>5}" for title, _ in columns.values())
    side_by_side = min(max(1, (WIDTH + 3) // (len(head) + 3)), math.ceil(len(rows) / 10))
    height = math.ceil(len(rows) / side_by_side)
    stacks = [[head, *rows[start : start + height]] for start in range(0, len(rows), height)]
    stacks = [stack + [" " * len(head)] * (height + 1 - len(stack)) for stack in stacks]
    return "\n".join(" | ".join(line).rstrip(" |") for line in zip(*stacks))

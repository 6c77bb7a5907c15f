"""Imports go one way: from commands down to the ground floor."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
# From the top down; parts of one floor may import each other where that makes no circle.
FLOORS = [
    ["__main__", "cli"],
    ["commands"],
    ["api"],
    ["training"],
    ["evaluation", "inference"],
    ["runs", "weights"],
    ["models"],
    ["data"],
    ["ops", "config"],
    ["autograph", "boxes", "distribution", "choices", "errors", "files", "keras", "progress"]
    + ["workers", "yaml_text"],
]
LEVEL = {name: number for number, floor in enumerate(reversed(FLOORS)) for name in floor}
FILES = sorted((ROOT / "lhrcnn").rglob("*.py"))


def imported(path):
    """Dotted names below lhrcnn that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lhrcnn":
            below = node.module.split(".")[1:]
            names |= {".".join([*below, alias.name]) for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {a.name.partition(".")[2] for a in node.names if a.name.startswith("lhrcnn.")}
    return names


def test_every_part_has_a_floor():
    parts = {path.relative_to(ROOT / "lhrcnn").parts[0].replace(".py", "") for path in FILES}
    assert parts - {"__init__"} <= set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_imports_what_stands_above_it(path):
    own = path.relative_to(ROOT / "lhrcnn").parts[0].replace(".py", "")
    if own == "__init__":
        return
    above = {name for name in imported(path) if LEVEL.get(name.split(".")[0], -1) > LEVEL[own]}
    assert not above


def test_packages_make_no_circle():
    graph = {}
    for path in FILES:
        own = path.relative_to(ROOT / "lhrcnn").parts[0].replace(".py", "")
        parts = {name.split(".")[0] for name in imported(path)} & set(LEVEL)
        graph.setdefault(own, set()).update(parts - {own, "__init__"})

    def reachable(part, seen):
        for other in graph.get(part, ()):
            if other not in seen:
                seen.add(other)
                reachable(other, seen)
        return seen

    assert not [part for part in graph if part in reachable(part, set())]

"""The configs that come with lhrcnn, found by name."""

import pathlib

from lhrcnn.choices import did_you_mean
from lhrcnn.errors import ConfigError

PACKAGE = pathlib.Path(__file__).resolve().parents[1]


def find_config(name):
    """Path of a config file: `name` itself where it is one, that of a run directory, else the
    shipped config of that name, with or without `.yaml`. Raises ConfigError that lists what is
    shipped."""
    given = pathlib.Path(name)
    for path in (given, given / "config.yaml"):
        if path.is_file():
            return path
    shipped = shipped_configs()
    stem = given.name[: -len(".yaml")] if given.name.endswith(".yaml") else given.name
    if given.parent == pathlib.Path(".") and stem in shipped:
        return shipped[stem]
    hint = f"{did_you_mean(stem, shipped)} ".lstrip()
    raise ConfigError(
        f"{name}: no such config file; {hint}found by name are: {', '.join(shipped) or 'none'}"
    )


def shipped_configs():
    """{name: path}: in an installed package its own, in a checkout those at the top."""
    installed = PACKAGE / "configs"
    folder = installed if installed.is_dir() else PACKAGE.parent / "configs"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}

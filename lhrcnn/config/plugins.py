"""Modules of the user that a config names: they put entries into the dicts of what can be chosen.

A plugin is a dotted module, looked for in the working directory and in Python's path, or a `.py`
file, looked for beside the config file that names it and in the working directory. The config of a
run records files with their folders. A run directory, or an exported model, may come from anybody,
and loading a model must not run code that its user does not know: its plugins are imported where
the user has named them, in a config file of theirs, by `--set` or in Python, now or once before.
"""

import contextlib
import importlib
import importlib.util
import os
import pathlib
import re
import sys

from lhrcnn.errors import ConfigError
from lhrcnn.files import cache_dir

NAMED = "plugins.txt"  # in the cache: paths that the user has named


def is_of_run(file):
    """Whether a config file is that of a run directory, or of an exported model."""
    path = pathlib.Path(file)
    beside = (path.with_name(name) for name in ("classes.json", "export.json"))
    return path.name == "config.yaml" and any(other.is_file() for other in beside)


def located(names, file=None):
    """`plugins`, as the config `file` has them, with the whole path of each `.py` file found."""
    folder = pathlib.Path(file).resolve().parent if file else pathlib.Path.cwd()
    return [_located(name, folder) if name.endswith(".py") else name for name in names]


def remember(names):
    """Notes that the user has named these plugins, `located` ones."""
    new = set(map(_code_of, names)) - _named()
    if new:
        with contextlib.suppress(OSError):  # then they are to be named again
            cache_dir().mkdir(parents=True, exist_ok=True)
            with open(cache_dir() / NAMED, "a", encoding="utf-8") as file:
                file.writelines(f"{path}\n" for path in sorted(new))


def refuse_unknown(names, file):
    """Raises ConfigError for `located` plugins of the config `file` of a run or exported model that
    the user has never named."""
    named = _named()
    unknown = [name for name in names if _code_of(name) not in named]
    if unknown:
        raise ConfigError(
            f"{file}: 'plugins': it names code that you have never named here: "
            f"{', '.join(unknown)}. Read it; if you trust it, or have moved it, name it yourself, "
            f"once: lhrcnn config {pathlib.Path(file).parent} --set plugins=[{','.join(names)}]; "
            "--set plugins=[] goes without"
        )


def import_plugins(names):
    """Imports each plugin once. Raises ConfigError that names one that is missing or fails."""
    for name in names:
        if name.endswith(".py"):
            _import_file(name)
        else:
            _import_module(name)


def _located(name, folder):
    # The last: a run that has moved, called from the folder where its plugins are.
    for path in (folder / name, pathlib.Path(name), pathlib.Path(pathlib.Path(name).name)):
        if path.is_file():
            return str(path.resolve())
    return name


def _named():
    """The paths that the user has named so far."""
    try:
        return set((cache_dir() / NAMED).read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError):
        return set()


def _code_of(name):
    """The path of a plugin's code, found without importing the packages that it is in."""
    if name.endswith(".py"):
        return str(pathlib.Path(name).resolve())
    stem = name.replace(".", "/")
    for folder in (*sys.path, os.getcwd()):
        for path in (pathlib.Path(folder, stem, "__init__.py"), pathlib.Path(folder, f"{stem}.py")):
            if path.is_file():
                return str(path.resolve())
    return name


def _import_file(name):
    path = pathlib.Path(name).resolve()
    if not path.is_file():
        raise ConfigError(
            f"'plugins': {name}: no such file, beside the config file or in {os.getcwd()}; call "
            "from the folder where it is, or say where: --set plugins=[FOLDER/FILE.py]"
        )
    # Files of one name in different folders are different modules.
    module = "plugin" + re.sub(r"\W", "_", str(path.with_suffix("")))
    if module in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(module, path)
    sys.modules[module] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(sys.modules[module])
    except Exception as error:
        del sys.modules[module]  # the next attempt runs it again
        raise _failure(name, error) from error


def _import_module(name):
    if os.getcwd() not in sys.path:  # as `python -m` has it
        sys.path.append(os.getcwd())
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failure(name, error) from error
        raise ConfigError(
            f"'plugins': there is no module {name} in {os.getcwd()} or in Python's path; call from "
            "the folder where it is, set PYTHONPATH, or name its file: "
            "--set plugins=[FOLDER/FILE.py]"
        ) from None
    except Exception as error:
        raise _failure(name, error) from error


def _failure(name, error):
    found = f"{type(error).__name__}: {error}"
    return ConfigError(f"'plugins': {name} fails when it is imported: {found}")

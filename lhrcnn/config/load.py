"""Configs from YAML files, overrides and dotted changes, each of them checked.

A config file names only what differs from the defaults, or from the file in its `base:` key;
`--set section.key=value` changes single options. `lhrcnn config NAME` prints the outcome with the
meaning of every option.
"""

import contextlib
import dataclasses
import math
import numbers
import os
import pathlib
import typing

from absl import logging

from lhrcnn.choices import did_you_mean
from lhrcnn.config.plugins import import_plugins, is_of_run, located, refuse_unknown, remember
from lhrcnn.config.rules import broken_rules
from lhrcnn.config.schema import Config, allowance, allowed, within
from lhrcnn.errors import ConfigError
from lhrcnn.files import replacing
from lhrcnn.yaml_text import parse

# Options that had another name once: configs and run directories of then are read.
RENAMED = {
    "data.keras_cv_augment": "data.transforms",
    "model.head.psroi_impl": "model.head.roi_impl",
    "train.num_pictures": "train.num_images",
}
# What becomes a value of a type: NumPy's numbers too; `1e-4` is a text in YAML.
TAKEN = {int: numbers.Integral, float: (numbers.Real, str), str: (str, os.PathLike, type(None))}


def load(path=None, overrides=()):
    """The validated `Config` of a YAML file (default options without one) and of changes to it.

    overrides: `section.key=value` texts and pairs ("section.key", value), or a dict of these.
    Modules in `plugins` are imported first; those of a run directory only if `overrides` name them,
    or the user did before.
    Raises ConfigError naming file and key for an unknown key, a wrong type or a value that is not
    allowed."""
    config = Config()
    if path:
        for values, source in _inheritance(pathlib.Path(path)):
            config = _updated(config, values, source)
            if "plugins" in values:
                config = dataclasses.replace(config, plugins=located(config.plugins, source))
        if not is_of_run(path):
            remember(config.plugins)
        elif all(dotted != "plugins" for dotted, _, _ in _changes(overrides)):
            refuse_unknown(config.plugins, path)
    return changed(config, overrides)


def changed(config, changes):
    """A validated copy of a Config with changes, as `load` takes them; raises ConfigError as that
    does."""
    for dotted, value, source in _changes(changes):
        config = _updated(config, _nested(dotted, value), source)
        if dotted == "plugins":
            config = dataclasses.replace(config, plugins=located(config.plugins))
            remember(config.plugins)
    _validate(config)
    return config


def stage(config, number):
    """(Config of the number-th of train.stages as a training of its own, whether it starts from the
    weights of the one before). Raises ConfigError naming the stage."""
    changes = dict(config.train.stages[number - 1])
    source, start = f"'train.stages', stage {number}", changes.pop("start", "previous")
    if start not in ("previous", "pretrained"):
        raise ConfigError(f"{source}: 'start': found {start!r}, allowed: previous, pretrained")
    own = _updated(config, {"train": {"stages": []}}, source)
    for key, value in changes.items():
        own = _updated(own, _nested(str(key), value), source)
    if own.train.stages:
        raise ConfigError(f"{source}: a stage has no stages of its own")
    try:
        _validate(own)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
    return own, start == "previous" and number > 1


def dump(config):
    """The config as YAML text with every option spelled out."""
    import yaml  # here and below: `lhrcnn --help` does without

    return yaml.safe_dump(dataclasses.asdict(config), sort_keys=False, allow_unicode=True)


def save(config, path):
    """Writes a YAML file that `load` reads back to the same object, whole or not at all."""
    with replacing(path, "w") as file:
        file.write(dump(config))


def _inheritance(path, seen=()):
    """(values, source) of a file's ancestors and itself, oldest first."""
    if path in seen:
        way = " -> ".join(map(str, seen))
        raise ConfigError(f"{path}: `base:` leads back to itself by way of {way}")
    try:
        values = parse(path.read_text(encoding="utf-8"), unique=True) or {}
    except FileNotFoundError:
        nearby = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        raise ConfigError(
            f"{path}: no such config file; in {path.parent} there are: "
            f"{', '.join(nearby) or 'none'}"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: not readable: {error.strerror or error}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not readable as YAML: {error}") from None
    if not isinstance(values, dict):
        found = type(values).__name__
        raise ConfigError(f"{path}: expected `section:` keys at the top, found a {found}")
    base = values.pop("base", None)
    if not isinstance(base, (str, type(None))):
        raise ConfigError(f"{path}: 'base': expected the name of a config file, found {base!r}")
    ancestors = _inheritance(path.parent / base, seen + (path,)) if base else []
    return [*ancestors, (values, str(path))]


def _changes(overrides):
    """(dotted key, value, what messages call it) of each override."""
    changes = []
    for override in overrides.items() if isinstance(overrides, dict) else overrides:
        if not isinstance(override, str):
            dotted, value = override
            changes.append((str(dotted), value, "changes"))
            continue
        dotted, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"--set {override}: expected section.key=value")
        try:
            value = parse(text, unique=True) if text else ""
        except ValueError as error:
            raise ConfigError(
                f"--set {override}: the value is not readable as YAML: {error}"
            ) from None
        changes.append((dotted, value, f"--set {override}"))
    return changes


def _updated(node, values, source, prefix=""):
    """A copy of a dataclass tree with the values of a nested dict."""
    fields = {field.name: field for field in dataclasses.fields(node)}
    new = {}
    for key, value in values.items():
        key = _present_name(f"{prefix}{key}", source)[len(prefix) :]
        if key not in fields:
            hint = did_you_mean(str(key), fields) or f"allowed here: {', '.join(fields)}"
            raise ConfigError(f"{source}: unknown option '{prefix}{key}'; {hint}")
        current = new.get(key, getattr(node, key))
        if not dataclasses.is_dataclass(current):
            new[key] = _typed(value, fields[key], f"{source}: '{prefix}{key}'")
        elif isinstance(value, dict):
            new[key] = _updated(current, value, source, f"{prefix}{key}.")
        elif value is not None:
            raise ConfigError(
                f"{source}: '{prefix}{key}' is a section with keys of its own, found {value!r}"
            )
    return dataclasses.replace(node, **new)


def _present_name(dotted, source):
    """The name that an option has today."""
    if dotted in RENAMED and not is_of_run(source):  # nobody is to change the files of a run
        logging.warning("%s: '%s' is called '%s' now", source, dotted, RENAMED[dotted])
    return RENAMED.get(dotted, dotted)


def _nested(dotted, value):
    """{a: {b: value}} of a.b."""
    for key in reversed(dotted.split(".")):
        value = {key: value}
    return value


def _typed(value, field, where):
    """`value` as the field's type, see `_scalar`."""
    kind = field.type
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where}: expected a list like [..], found {value!r}")
        for item in value:
            _refuse_joined(item, where)
        return [_scalar(item, arguments[0], where) for item in value]
    if origin is dict:
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: expected a mapping like {{key: value}}, found {value!r}")
        _refuse_joined(value, where)
        key_kind, value_kind = arguments
        return {
            _scalar(k, key_kind, where): _scalar(v, value_kind, where) for k, v in value.items()
        }
    return _scalar(value, kind, where)


def _refuse_joined(value, where):
    """Raises ConfigError for a mapping with a key like `a:1`, which YAML has for `{a:1}`."""
    for key in value if isinstance(value, dict) else ():
        if value[key] is None and ":" in str(key):
            name, _, meant = str(key).partition(":")
            raise ConfigError(
                f"{where}: found {{{key}}}, which YAML takes for a name alone; write a space after "
                f"the colon: {{{name}: {meant}}}"
            )


def _scalar(value, kind, where):
    """`value` as a plain one of its type."""
    if kind is typing.Any:
        return value
    if isinstance(value, TAKEN.get(kind, kind)) and isinstance(value, bool) == (kind is bool):
        with contextlib.suppress(ValueError, OverflowError):
            value = kind("" if value is None else value)
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        raise ConfigError(
            f"{where}: expected {kind.__name__}, found {value!r} ({type(value).__name__})"
        )
    if kind is float and not math.isfinite(value):
        raise ConfigError(f"{where}: expected a finite number, found {value}")
    return value


def _validate(config):
    import_plugins(config.plugins)
    _validate_fields(config)
    for message in broken_rules(config):
        raise ConfigError(message)
    _validate_stages(config)


def _validate_fields(config, prefix=""):
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), prefix + field.name
        if dataclasses.is_dataclass(value):
            _validate_fields(value, name + ".")
            continue
        choices, lengths = allowed(field), field.metadata["lengths"]
        items = value if isinstance(value, list) else [] if isinstance(value, dict) else [value]
        for item in items:
            if choices and str(item) not in choices and item != field.default:
                hint = f"{did_you_mean(str(item), choices)} ".lstrip()
                raise ConfigError(f"'{name}': found {item!r}; {hint}allowed: {', '.join(choices)}")
        counted = lengths is None or len(items) in lengths
        if not counted or not all(within(field, item) for item in items):
            raise ConfigError(f"'{name}': found {value}, allowed: {allowance(field)}")


def _validate_stages(config):
    has_rpn = False
    for number in range(1, len(config.train.stages) + 1):
        own, _ = stage(config, number)
        has_rpn |= own.train.part != "head"
        if not has_rpn and not own.data.proposals:
            raise ConfigError(
                f"'train.stages', stage {number}: no stage before it trains the RPN that a head "
                "learns from; begin with part rpn or all, or set data.proposals"
            )

"""What lies beside YOLO's labels: class names and splits, of ultralytics, Roboflow and darknet."""

import collections
import dataclasses
import glob
import math
import os
import pathlib
import re

from lhrcnn.data.formats import IMAGE_SUFFIXES
from lhrcnn.data.readers import lookup
from lhrcnn.errors import DataError
from lhrcnn.yaml_text import parse

NAME_FILES = "classes.txt obj.names _darknet.labels classes.names predefined_classes.txt".split()
_MOST_CLASSES = 10**6


@dataclasses.dataclass
class Layout:
    """What the files beside the labels say."""

    names: dict  # {class number: name}; empty where none are given
    splits: dict  # {split, or "" where there is none: image paths}
    keypoints: int = 0  # numbers that follow a box in a line


def describe(folder, paths):
    """The `Layout` of a data folder with these files.

    Raises DataError where a data file cannot be read, is of other images, or names classes
    otherwise than another one."""
    images = [path for path in paths if path.lower().endswith(IMAGE_SUFFIXES)]
    files = _data_files(paths)
    if files:
        # a number of classes alone may be a model's, in a file beside
        named = [path for path, content in files.items() if content.get("names")]
        path = (named or list(files))[0]
        content = files[path]
        names = _names(content, path)
        _refuse_other_names(path, names, files)
        splits = _yaml_splits(folder, pathlib.Path(path), content, images)
        return Layout(names, splits, _keypoints(content, path))
    for path in paths:
        content = _read_data(path) if path.endswith(".data") else {}
        if "names" in content:
            names = _under(folder, content["names"], set(paths))
            splits = {
                key.replace("valid", "val"): _listed(
                    folder, pathlib.Path(path), content[key], images
                )
                for key in ("train", "valid", "val", "test")
                if key in content
            }
            return Layout(_lines(names) if names else {}, splits or {"": images})
    files = [path for path in paths if os.path.basename(path) in NAME_FILES]
    files = files or [path for path in paths if path.lower().endswith(".names")]
    return Layout(_lines(files[0]) if files else {}, {"": images})


def _data_files(paths):
    """{path: content} of ultralytics' data files. Raises DataError where all are broken."""
    found, broken = {}, []
    for path in paths:
        if path.lower().endswith((".yaml", ".yml")):
            try:
                found[path] = _content(path)
            except DataError as error:
                broken.append(error)
    found = {path: content for path, content in found.items() if content}
    if broken and not found:
        raise broken[0]
    return found


def read_yaml(path):
    """The content of ultralytics' data file; None where a file is another one, or broken."""
    try:
        return _content(path)
    except DataError:
        return None


def _content(path):
    """As of `read_yaml`. Raises DataError for what is a data file, but for its YAML."""
    text = lookup.read_text(path)
    try:
        content = parse(text)
    except ValueError as error:
        if not re.search(r"^(names|train|val)\s*:", text, re.MULTILINE):
            return None
        raise DataError(f"{path}: not readable as YAML: {error}") from None
    keys = set(content) if isinstance(content, dict) else set()
    has_names = isinstance(content.get("names"), (list, dict)) if keys else False
    has_splits = bool(keys & {"train", "val", "valid", "test"})
    return content if (has_names or "nc" in keys) and (has_splits or "nc" in keys) else None


def _read_data(path):
    """The keys and values of darknet's data file."""
    lines = (line.partition("=") for line in lookup.read_text(path).splitlines())
    return {key.strip(): value.strip() for key, equals, value in lines if equals}


def _names(content, path):
    """{number: name} of a data file. Raises DataError."""
    names, count = content.get("names"), content.get("nc")
    if names is None and str(count).isdecimal() and int(count) <= _MOST_CLASSES:
        return {number: f"class_{number}" for number in range(int(count))}
    pairs = names.items() if isinstance(names, dict) else ()
    pairs = enumerate(names) if isinstance(names, list) else pairs
    try:
        named = {int(k): f"class_{k}" if v is None else str(v).strip() for k, v in pairs}
    except (TypeError, ValueError, OverflowError):
        named = {}
    if not named:
        raise DataError(
            f"{path}: 'names' is {names!r} and 'nc' {count!r}; expected a list of class names, or "
            f"numbers and names, or the number of classes, up to {_MOST_CLASSES}"
        )
    for name, times in collections.Counter(named.values()).items():
        if times > 1:
            raise DataError(f"{path}: 'names' has '{name}' {times} times; give each class its own")
    return named


def _refuse_other_names(file, names, files):
    """Raises DataError where a data file in as deep a folder calls a class number otherwise."""
    for path, content in files.items():
        beside = path != file and path.count(os.sep) == file.count(os.sep)
        other = _names(content, path) if beside and "names" in content else {}
        for number in sorted(names.keys() & other.keys()):
            if names[number] != other[number]:
                raise DataError(
                    f"{file} calls class {number} '{names[number]}', {path} '{other[number]}'; a "
                    "data set has one list of names: read each folder as a data set of its own, "
                    "or delete the file that the labels do not follow"
                )


def _keypoints(content, path):
    """How many numbers follow a box in a line. Raises DataError."""
    shape = content.get("kpt_shape") or [0]
    if not isinstance(shape, list) or not all(isinstance(number, int) for number in shape):
        raise DataError(f"{path}: 'kpt_shape' is {shape!r}; expected numbers, as in [17, 3]")
    return math.prod(shape)


def _lines(path):
    """{number: name} of a file with a class name a line."""
    lines = [line.strip() for line in lookup.read_text(path).splitlines()]
    return {number: name for number, name in enumerate(lines) if name}


def _yaml_splits(folder, file, content, images):
    """{split: image paths} of a data file's train, val and test."""
    root = file.parent / str(content.get("path") or "")
    splits, missing = {}, []
    for key in ("train", "val", "valid", "test"):
        values = content.get(key) or []
        values = values if isinstance(values, list) else [values]
        for value in values:
            if not isinstance(value, str):
                raise DataError(f"{file}: '{key}' has {value!r}; expected paths of images or lists")
            found = _listed(folder, file, str(root / value), images) or _listed(
                folder, file, str(value), images
            )
            splits.setdefault(key.replace("valid", "val"), []).extend(found)
            if not found and key != "test":  # which is often left out of what is passed on
                missing.append(f"{key}: {value}")
    if missing and any(splits.values()):
        raise DataError(
            f"{file}: '{missing[0]}' is no folder, list or pattern of images, there or in {folder}"
        )
    return {key: found for key, found in splits.items() if found} or {"": images}


def _listed(folder, file, value, images):
    """The images of a folder, list or pattern named in a data file, wherever the set was moved."""
    if glob.has_magic(value):
        found = sorted(glob.glob(value, recursive=True))
        return [path for path in found if path.lower().endswith(IMAGE_SUFFIXES)]
    if value.endswith(".txt"):
        path = _under(folder, value, set(map(str, lookup.listed(folder, ".txt"))))
        return _in_list(folder, pathlib.Path(path), images) if path else []
    if os.path.isdir(value) and not _real(value).is_relative_to(_real(folder)):
        return [path for path in lookup.walk(value) if path.lower().endswith(IMAGE_SUFFIXES)]
    words = [
        word for word in pathlib.PurePosixPath(value.replace("\\", "/")).parts if word not in "/.."
    ]
    for start in range(len(words)):
        below = os.path.join(folder, *words[start:], "")
        found = [path for path in images if path.startswith(below)]
        if found:
            return found
    return images if os.path.isdir(value) and os.path.samefile(value, folder) else []


def _in_list(folder, file, images):
    """The images named in a list of paths, which may be of the machine where it was made."""
    known, found = set(images), []
    for _, line in lookup.lines(file):
        found.append(_under(folder, line, known) or os.path.normpath(file.parent / line))
    return [path for path in found if path.lower().endswith(IMAGE_SUFFIXES)]


def _under(folder, name, known):
    """The known path below the folder in which as much as possible of a name ends; empty: none."""
    words = [word for word in name.replace("\\", "/").split("/") if word not in ("", ".", "..")]
    tails = (os.path.join(folder, *words[start:]) for start in range(len(words)))
    return next((path for path in tails if path in known), "")


def _real(path):
    return pathlib.Path(os.path.realpath(path))

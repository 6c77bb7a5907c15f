"""Reader of YOLO's text files: of ultralytics' `data.yaml`, Roboflow's folders and darknet's lists.

A line is a class number and the shares of width and height of a box's center and size, or of the
corners of a polygon or a turned rectangle. The label of `.../images/a.jpg` is `.../labels/a.txt`,
or lies beside the image; an image without one shows nothing.
"""

import dataclasses
import glob
import math
import os
import pathlib
import re

import yaml

from lhrcnn.data.readers import gathering, lookup, parsing
from lhrcnn.data.readers.gathering import ALIASES, Found
from lhrcnn.data.readers.parsing import corners, named
from lhrcnn.data.readers.records import IMAGE_SUFFIXES, make_dataset
from lhrcnn.data.schema import Problem
from lhrcnn.errors import DataError

NAME_FILES = (
    "classes.txt",
    "obj.names",
    "_darknet.labels",
    "classes.names",
    "predefined_classes.txt",
)
_LARGEST = 1.01  # ultralytics' own bound of a share


@dataclasses.dataclass
class Layout:
    """What the files beside the labels say."""

    names: dict  # {class number: name}; empty where none are given
    splits: dict  # {split, or "" where there is none: image paths}
    keypoints: int = 0  # numbers that follow a box in a line


def read(data_config, split, training=False):
    """The `Dataset` of a split: a key of the data file, or a folder or list of that name.

    Polygons and turned rectangles give their enclosing boxes. Raises DataError where no label file
    or no such split is there."""
    del training
    folder, problems = gathering.data_folder(data_config), []
    paths = lookup.walk(folder)
    layout = describe(folder, paths)
    labels = {path for path in paths if path.lower().endswith(".txt")}
    if split not in {word for key in layout.splits for word in (key, *ALIASES.get(key, ()))}:
        layout.splits = {"": list(dict.fromkeys(sum(layout.splits.values(), [])))}
    label_of = _labels(
        [path for images in layout.splits.values() for path in images], labels, set(paths)
    )
    if not label_of:
        raise DataError(f"{folder}: no label file (.txt) of any image; see docs/formats.md")
    placed = [
        (Found((path,), pathlib.Path(label_of.get(path, path)), "", relative=True, split=key), path)
        for key, images in layout.splits.items()
        for path in images
    ]
    chosen = gathering.choose_split(folder, split, placed, many=False)
    for image, _ in chosen if layout.names else placed:
        image.where = str(image.source)
        if image.source.suffix.lower() == ".txt":
            image.boxes = _boxes(image.source, layout, problems)
    if not layout.names:
        found = {box.name for image, _ in placed for box in image.boxes}
        layout.names = {int(name.rpartition("_")[2]): name for name in found}
        text = f"{folder}: no names of classes (data.yaml, classes.txt): they are called by number"
        problems.append(Problem.warning("classes without names", text))
    numbers_of = {layout.names[number]: number for number in sorted(layout.names, reverse=True)}
    names = sorted(numbers_of, key=numbers_of.get)
    images = gathering.with_sizes(chosen, problems)
    ids = [numbers_of[name] for name in names]
    return make_dataset(f"{folder} {split}", images, problems, names, ids)


def describe(folder, paths):
    """The `Layout` of a data folder with these files."""
    images = [path for path in paths if path.lower().endswith(IMAGE_SUFFIXES)]
    for path in paths:
        content = read_yaml(path) if path.lower().endswith((".yaml", ".yml")) else None
        if content:
            shape = content.get("kpt_shape") or [0]
            splits = _yaml_splits(folder, pathlib.Path(path), content, images)
            return Layout(_names(content, path), splits, math.prod(map(int, shape)))
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
    return Layout(_lines(files[0]) if files else {}, {"": images})


def read_yaml(path):
    """The content of ultralytics' data file; None where a file is another one."""
    try:
        content = yaml.safe_load(lookup.read_text(path))
    except yaml.YAMLError:
        return None
    keys = set(content) if isinstance(content, dict) else set()
    has_names = isinstance(content.get("names"), (list, dict)) if keys else False
    has_splits = bool(keys & {"train", "val", "valid", "test"})
    return content if (has_names or "nc" in keys) and (has_splits or "nc" in keys) else None


def _read_data(path):
    """The keys and values of darknet's data file."""
    lines = (line.partition("=") for line in lookup.read_text(path).splitlines())
    return {key.strip(): value.strip() for key, equals, value in lines if equals}


def _names(content, path):
    """{number: name} of a data file."""
    names = content.get("names")
    if isinstance(names, dict):
        return {int(number): str(name).strip() for number, name in names.items()}
    if isinstance(names, list):
        return {number: str(name).strip() for number, name in enumerate(names)}
    if names is not None:
        raise DataError(
            f"{path}: 'names' is {names!r}; expected a list of class names, or numbers and names"
        )
    return {number: f"class_{number}" for number in range(int(content["nc"]))}


def _lines(path):
    """{number: name} of a file with a class name a line."""
    lines = [line.strip() for line in lookup.read_text(path).splitlines()]
    return {number: name for number, name in enumerate(lines) if name}


def _yaml_splits(folder, file, content, images):
    """{split: image paths} of a data file's train, val and test."""
    root = file.parent / str(content.get("path") or "")
    splits = {}
    for key in ("train", "val", "valid", "test"):
        values = content.get(key) or []
        for value in [values] if isinstance(values, str) else values:
            found = _listed(folder, file, str(root / value), images) or _listed(
                folder, file, str(value), images
            )
            splits.setdefault(key.replace("valid", "val"), []).extend(found)
    return {key: found for key, found in splits.items() if found} or {"": images}


def _listed(folder, file, value, images):
    """The images of a folder, list or pattern named in a data file, wherever the set was moved."""
    if glob.has_magic(value):
        return sorted(glob.glob(value, recursive=True))
    if value.endswith(".txt"):
        path = _under(folder, value, set(map(str, lookup.listed(folder, ".txt"))))
        return _in_list(folder, pathlib.Path(path), images) if path else []
    if os.path.isdir(value) and not _is_below(value, folder):
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
    for line in lookup.read_text(file).splitlines():
        path = _under(folder, line.strip(), known) if line.strip() else ""
        found.append(path or os.path.normpath(file.parent / line.strip()))
    return [path for path in found if path.lower().endswith(IMAGE_SUFFIXES)]


def _under(folder, name, known):
    """The known path below the folder in which as much as possible of a name ends; empty: none."""
    words = [word for word in name.replace("\\", "/").split("/") if word not in ("", ".", "..")]
    tails = (os.path.join(folder, *words[start:]) for start in range(len(words)))
    return next((path for path in tails if path in known), "")


def _is_below(path, folder):
    return os.path.commonpath(
        [os.path.realpath(path), os.path.realpath(folder)]
    ) == os.path.realpath(folder)


def _labels(images, labels, below):
    """{image: label file}, by ultralytics' rule or beside the image; if none fits, by names."""
    found = {}
    for image in images:
        stem = os.path.splitext(image)[0]
        swapped = f"{os.sep}labels{os.sep}".join(stem.rsplit(f"{os.sep}images{os.sep}", 1))
        for path in (f"{swapped}.txt", f"{stem}.txt"):
            if path in labels or (image not in below and os.path.isfile(path)):
                found.setdefault(image, path)
    if not found:
        by_stem = {pathlib.Path(path).stem: path for path in labels}
        stems = {image: pathlib.Path(image).stem for image in images}
        found = {image: by_stem[stem] for image, stem in stems.items() if stem in by_stem}
    return found


def _boxes(file, layout, problems):
    """The `LabelledBox`es of a label file, in shares of the image."""
    boxes, seen = [], set()
    for number, line in enumerate(lookup.read_text(file).splitlines(), start=1):
        words = tuple(line.split())
        if not words:
            continue
        where = f"{file}: line {number}"
        if words in seen:
            problems.append(Problem.warning("repeated line", f"{where}: stands twice; left out"))
            continue
        seen.add(words)
        try:
            k, box, shape = _parse(words, layout.keypoints)
            name = layout.names[k] if layout.names else f"class_{k}"
        except KeyError:
            known = f"{min(layout.names)}...{max(layout.names)}"
            text = f"{where}: class {words[0]} is none of {known}; left out"
            problems.append(Problem.error("unknown class", text))
            continue
        except ValueError as error:
            problems.append(Problem.error("bad line", f"{where}: {error}; left out"))
            continue
        if shape:
            text = f"{where}: {shape} of '{name}'; its enclosing box is taken"
            problems.append(Problem.note(shape, text))
        boxes.append(named(name, box))
    return boxes


def _parse(words, keypoints=0):
    """(class number, box, "" or the kind of another shape) of a line. Raises ValueError."""
    k, *values = parsing.numbers(words)
    if k < 0 or k != int(k):
        raise ValueError(f"'{words[0]}' is no class number")
    is_box = len(values) in (4, 5, 4 + keypoints)  # the fifth is the confidence of a detection
    values = values[:4] if is_box or (len(values) % 2 and len(values) % 3 == 1) else values
    if max(map(abs, values), default=0) > _LARGEST:
        raise ValueError(
            f"found '{' '.join(words)[:80]}': no shares of the image's width and height, 0 to 1"
        )
    if len(values) == 4:
        x, y, width, height = values
        return int(k), (y - height / 2, x - width / 2, y + height / 2, x + width / 2), ""
    if len(values) < 6 or len(values) % 2:
        raise ValueError(f"{len(values)} numbers after the class: neither a box nor a polygon")
    shape = "turned box" if len(values) == 8 else "polygon"
    return int(k), corners(list(zip(values[::2], values[1::2]))), shape


def looks_like_label(text):
    """Whether a text begins with a line that this reader takes."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    try:
        return bool(re.match(r"\d+\s", line)) and bool(_parse(tuple(line.split())))
    except ValueError:
        return False

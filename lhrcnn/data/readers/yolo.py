"""Reader of YOLO's text files: of ultralytics' `data.yaml`, Roboflow's folders and darknet's lists.

A line is a class number and the shares of width and height of a box's center and size, or of the
corners of a polygon or a turned rectangle. The label of `.../images/a.jpg` is `.../labels/a.txt`,
or lies beside the image; an image without one shows nothing.
"""

import os
import pathlib
import re

from lhrcnn.data.readers import gathering, lookup, parsing
from lhrcnn.data.readers.gathering import ALIASES
from lhrcnn.data.readers.parsing import corners, named
from lhrcnn.data.readers.records import LabelledImage, make_dataset
from lhrcnn.data.readers.yolo_layout import describe
from lhrcnn.data.schema import Problem
from lhrcnn.errors import DataError

_LARGEST = 1.01  # ultralytics' own bound of a share
_DOTA_HEADS = ("imagesource:", "gsd:")


def read(data_config, split, training=False):
    """The `Dataset` of a split: a key of the data file, or a folder or list of that name.

    Polygons and turned rectangles give their enclosing boxes. Raises DataError where no label file
    or no such split is there."""
    folder, problems = lookup.data_folder(data_config.dir), []
    paths = lookup.walk(folder)
    layout = describe(folder, paths)
    labels = {path for path in paths if path.lower().endswith(".txt")}
    if split not in {word for key in layout.splits for word in (key, *ALIASES.get(key, ()))}:
        layout.splits = {"": list(dict.fromkeys(sum(layout.splits.values(), [])))}
    label_of = _labels([path for own in layout.splits.values() for path in own], labels, set(paths))
    if not label_of:
        raise DataError(f"{folder}: no label file (.txt) of any image; see docs/formats.md")
    images = [
        LabelledImage(
            (), pathlib.Path(label_of.get(path, path)), "", relative=True, split=key, path=path
        )
        for key, paths in layout.splits.items()
        for path in paths
    ]
    chosen = gathering.choose_split(folder, split, images, many=False, problems=problems)
    for image in chosen if layout.names else images:
        image.where = str(image.source)
        if image.source.suffix.lower() == ".txt":
            image.boxes, image.relative = _boxes(image.source, layout, problems)
    if not layout.names:
        layout.names = _names_found(
            sorted({box.name for image in images for box in image.boxes}), folder, problems
        )
    numbers_of = {layout.names[number]: number for number in sorted(layout.names, reverse=True)}
    names = sorted(numbers_of, key=numbers_of.get)
    images = gathering.with_sizes(chosen, problems)
    ids = [numbers_of[name] for name in names]
    return make_dataset(f"{folder} {split}", images, problems, names, ids)


def _names_found(found, folder, problems):
    """{number: name} of the classes that labels name, as DOTA's do, or that have numbers alone."""
    if not all(re.fullmatch(r"class_\d+", name) for name in found):
        return dict(enumerate(found))
    text = f"{folder}: no names of classes (data.yaml, classes.txt): they are called by number"
    problems.append(Problem.warning("classes without names", text))
    return {int(name.rpartition("_")[2]): name for name in found}


def _labels(images, labels, below):
    """{image: label file}, by ultralytics' rule or beside the image; if none fits, by names."""
    found = {}
    for image in images:
        stem = os.path.splitext(image)[0]
        swapped = [
            f"{os.sep}{name}{os.sep}".join(stem.rsplit(f"{os.sep}images{os.sep}", 1))
            for name in ("labels", "labelTxt")
        ]
        for path in (f"{start}.txt" for start in (*swapped, stem)):
            if path in labels or (image not in below and os.path.isfile(path)):
                found.setdefault(image, path)
    if not found:
        by_stem = {pathlib.Path(path).stem: path for path in labels}
        stems = {image: pathlib.Path(image).stem for image in images}
        found = {image: by_stem[stem] for image, stem in stems.items() if stem in by_stem}
    return found


def _boxes(file, layout, problems):
    """(`LabelledBox`es of a label file, whether they are shares of the image and not px)."""
    boxes, seen, relative = [], set(), True
    for number, line in lookup.lines(file):
        words = tuple(line.split())
        if words[0].startswith(_DOTA_HEADS):
            continue
        where = f"{file}: line {number}"
        if words in seen:
            problems.append(Problem.warning("repeated line", f"{where}: stands twice; left out"))
            continue
        seen.add(words)
        try:
            if _is_dota(words):
                (name, box, ignore), shape, relative = _parse_dota(words), "turned box", False
            else:
                k, box, shape = _parse(words, layout.keypoints)
                name, ignore = layout.names[k] if layout.names else f"class_{k}", False
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
        boxes.append(named(name, box, ignore))
    return boxes, relative


def _is_dota(words):
    return len(words) in (9, 10) and not parsing.is_number(words[8])


def _parse_dota(words):
    """(class name, box, whether it is ignored) of a line of four corners in px, a class name and 1
    where it is difficult. Raises ValueError."""
    values = parsing.numbers(words[:8])
    ignore = parsing.is_true(words[9]) if len(words) > 9 else False
    return words[8], corners(list(zip(values[::2], values[1::2]))), ignore


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
    """Whether a text begins with a line that this reader takes, or with DOTA's head."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    words = tuple(line.split())
    try:
        if line.startswith(_DOTA_HEADS):
            return True
        if len(words) == 10 and words[9] in ("0", "1", "2"):
            return _is_dota(words) and bool(_parse_dota(words))
        return bool(re.match(r"\d+(\.0+)?\s", line)) and bool(_parse(words))
    except ValueError:
        return False

"""What every reader shares: checking the objects of an image, and making a `Dataset` of images.

What is faulty is left out, and a `Problem` of it is appended to a list.
"""

import dataclasses
import os
import pathlib
import typing

import numpy as np

from lhrcnn.data.schema import Dataset, Problem, Record

# Annotation tools round outwards: a box may stick out by this much and is clipped without a word.
OVERHANG_PX, OVERHANG_SHARE = 2.0, 0.01
LONGEST_SIDE = 2**31 - 1  # px of an image; a number in a file may be one that no float holds


class LabelledBox(typing.NamedTuple):
    """An object as a reader finds it."""

    name: str  # of its class
    box: tuple  # (ymin, xmin, ymax, xmax) px of the image as shown, half-open
    ignore: bool = False
    area: typing.Optional[float] = None  # px^2; None: the box's


@dataclasses.dataclass
class LabelledImage:
    """An image as an annotation file has it; its own file and size may be looked up later."""

    names: tuple  # what it may be called: file names, paths or URLs, likeliest first
    source: pathlib.Path  # the annotation file
    where: str  # leads a message: "FILE: line 3"
    size: tuple = ()  # (height, width) px as shown; empty: not known
    boxes: list = dataclasses.field(default_factory=list)  # of LabelledBox
    relative: bool = False  # boxes are shares of height and width
    source_id: typing.Any = None  # of the image in the user's files; None: there is none
    split: str = ""  # named in the file itself; empty: its place decides
    path: str = ""  # of the image's file; empty: not known
    unlabelled: tuple = ()  # as in `Record`
    problems: list = dataclasses.field(default_factory=list)  # found in it


def make_dataset(name, images, problems, class_names=None, category_ids=None):
    """The `Dataset` of a list of `LabelledImage`, the images in their order.

    class_names: the classes in order, None: the sorted names of all boxes; category_ids: their
    numbers in the user's files, None: 1...K. A box of another class is left out as an error."""
    if class_names is None:
        class_names = sorted({box.name for image in images for box in image.boxes})
    class_of = {class_name: k for k, class_name in enumerate(class_names)}
    rows, boxes = [], []
    for row, image in enumerate(images):
        for box in image.boxes:
            if box.name in class_of:
                rows.append(row)
                boxes.append(box)
                continue
            text = f"{image.where}: '{box.name}' is none of the {len(class_of)} classes; left out"
            problems.append(Problem.error("unknown class", text))
    objects = {
        "rows": np.array(rows, np.int64),
        "boxes": np.array([box.box for box in boxes], np.float64).reshape(-1, 4),
        "classes": np.array([class_of[box.name] for box in boxes], np.int32),
        "ignore": np.array([box.ignore for box in boxes], bool),
        "areas": np.array([box.area for box in boxes], np.float64),  # None becomes NaN
    }
    records = make_records(images, objects, lambda i: boxes[i].name, problems)
    ignored = sum(int(record.ignore.sum()) for record in records)
    if ignored:
        text = f"{name}: {ignored} objects are marked as to be ignored; neither learnt nor counted"
        problems.append(Problem.note("ignored objects", text))
    category_ids = category_ids or list(range(1, len(class_names) + 1))
    return Dataset(name, records, list(class_names), list(category_ids), problems)


def own_image_ids(source_ids):
    """[(image_id, source_id)] as in `Record` for the ids of a data set's images in the user's
    files.

    They are kept where all are whole numbers from 0 below 2^53, which every evaluator tells apart,
    and no two the same; else images are numbered from 1."""
    plain = all(type(value) is int and 0 <= value < 2**53 for value in source_ids)
    if plain and len(set(source_ids)) == len(source_ids):
        return [(value, None) for value in source_ids]
    return list(enumerate(source_ids, start=1))


def make_records(images, objects, name_of, problems):
    """The `Record`s of the sound objects of all images; a `Problem` for each other object.

    images: `LabelledImage`s whose boxes are not looked at, those without a size are left out;
    objects: arrays `rows` [n] of their images, `boxes` [n, 4] (ymin, xmin, ymax, xmax), `classes`,
    `ignore` and `areas` [n] px^2, NaN: the box's; name_of: what a message calls the i-th. Empty
    boxes and those wholly outside are dropped, those further outside than rounding explains
    clipped: warnings. Reversed and non-finite ones are errors."""
    sides = [[min(side, LONGEST_SIDE) for side in image.size or (0, 0)] for image in images]
    sizes = np.array(sides, np.float64).reshape(-1, 2)
    has_size = np.array([bool(image.size) for image in images], bool)
    order = np.argsort(objects["rows"], kind="stable")
    order = order[has_size[objects["rows"][order]]]
    rows, boxes = objects["rows"][order], objects["boxes"][order]
    clipped, faulty, reported = _checked(boxes, sizes[rows])
    for i in np.flatnonzero(reported):
        image = images[rows[i]]
        problems.append(_box_problem(image, boxes[i], name_of(order[i]), faulty[i]))
    order, rows, boxes = order[~faulty], rows[~faulty], clipped[~faulty].astype(np.float32)
    areas = objects["areas"][order].astype(np.float32)
    own_areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    areas = np.where(np.isnan(areas), own_areas, areas)
    columns = boxes, objects["classes"][order].astype(np.int32), objects["ignore"][order], areas
    ends = np.cumsum(np.bincount(rows, minlength=len(images))).tolist()
    records, start = [], 0
    ids = own_image_ids([image.source_id for image in images])
    for (image_id, source_id), image, end in zip(ids, images, ends):
        if image.size:
            own = [column[start:end] for column in columns]
            about = image_id, image.path, *image.size
            records.append(Record(*about, *own, image.unlabelled, source_id))
        start = end
    return records


def _checked(boxes, sizes):
    """(boxes clipped to their images, which are faulty, which are to be reported) of boxes [n, 4].

    sizes [n, 2]: of the image of each."""
    corner = np.concatenate([sizes, sizes], axis=1)
    with np.errstate(invalid="ignore"):
        clipped = np.clip(boxes, 0, corner)
        faulty = ~(np.isfinite(boxes) & np.isfinite(clipped)).all(axis=1)
        faulty |= ~(clipped[:, 2:] > clipped[:, :2]).all(axis=1)
        overhang = np.abs(boxes - clipped) > np.maximum(OVERHANG_PX, OVERHANG_SHARE * corner)
    return clipped, faulty, faulty | overhang.any(axis=1)


def _box_problem(image, box, name, dropped):
    """The `Problem` of a box that is dropped or clipped."""
    height, width = image.size
    outside = f"outside the image of {height:g} x {width:g} px (height x width)"
    if not np.all(np.isfinite(box)):
        severity, kind, fault = "error", "box that is not finite", "is not finite; left out"
    elif np.any(box[2:] < box[:2]):
        severity, kind = "error", "reversed box"
        fault = "is reversed (a maximum below its minimum); left out"
    elif np.any(box[2:] == box[:2]):
        severity, kind = "warning", "empty box"
        fault = "is empty (no height or no width); dropped"
    elif dropped:
        severity, kind, fault = "warning", "box outside the image", f"is {outside}; dropped"
    else:
        severity, kind, fault = "warning", "box beyond the border", f"is partly {outside}; clipped"
    shown = ", ".join(f"{value:g}" for value in box)
    text = f"{image.where}: box (ymin, xmin, ymax, xmax) = ({shown}) of '{name}' {fault}"
    return Problem(severity, kind, text)


def without_background(record):
    """The `Record` with an ignored box over the whole image, so that no part of it can be
    background, in either stage."""
    box = np.array([[0, 0, record.height, record.width]], np.float32)
    return dataclasses.replace(
        record,
        boxes=np.concatenate([record.boxes, box]),
        classes=np.append(record.classes, np.int32(0)),
        ignore=np.append(record.ignore, True),
        areas=np.append(record.areas, box[0, 2] * box[0, 3]),
    )


def image_problem(path, text):
    """The `Problem` of an image whose header is not to be read: an error where there is no file."""
    if os.path.exists(path):
        return Problem.warning("unreadable image", text)
    return Problem.error("missing image", text)


def drop_missing(records, problems):
    """The records whose image files exist and can be named; each other one is an error in
    `problems`."""
    folders = {}
    for folder in {record.path.rpartition("/")[0] for record in records}:
        try:
            folders[folder] = set(os.listdir(folder or "."))  # far cheaper than a look at each file
        except OSError:
            folders[folder] = set()
    kept = []
    for record in records:
        folder, _, name = record.path.rpartition("/")
        if not _is_utf8(record.path):
            text = (
                f"{record.path}: a name that is not in UTF-8, which TensorFlow cannot open; rename"
            )
            problems.append(Problem.error("file name not in UTF-8", text))
        elif name in folders[folder]:
            kept.append(record)
        else:
            text = f"{record.path}: no such image file (image id {record.shown_id})"
            problems.append(Problem.error("missing image", text))
    return kept


def _is_utf8(name):
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False

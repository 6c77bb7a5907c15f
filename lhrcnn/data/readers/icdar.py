"""Reader of scene-text sets in the layouts of the ICDAR robust reading competitions: a text file of words per image.

A line is `xmin, ymin, xmax, ymax, "text"` (2011 and 2013; commas or spaces, inclusive px) or `x1,y1,...,x4,y4,text` (2015, the
corners of a quadrilateral, whose axis-aligned box is taken). The text may hold commas; "###" marks a word that is to be ignored.
"""

import pathlib
import re

import numpy as np

from lhrcnn.data.headers import image_size
from lhrcnn.data.readers.records import IMAGE_SUFFIXES, make_record
from lhrcnn.data.schema import Dataset, Problem
from lhrcnn.errors import DataError

CLASS_NAME, IGNORED_TEXT = "text", "###"
_NUMBER, _SEPARATOR = r"-?\d+(?:\.\d+)?", r"\s*[,\s]\s*"
_RECTANGLE, _QUADRILATERAL = (
    f"(?P<numbers>{_SEPARATOR.join([_NUMBER] * count)})" for count in (4, 8)
)
# In this order: a number that is text stands in quotes after a rectangle, and without them after a quadrilateral.
_LINES = [
    re.compile(pattern)
    for pattern in (
        f'{_RECTANGLE}{_SEPARATOR}"(?P<text>.*)"',
        f"{_QUADRILATERAL}(?:{_SEPARATOR}(?P<text>.*))?",
        f"{_RECTANGLE}(?:{_SEPARATOR}(?P<text>.*))?",
    )
]


def read(data_config, split, training=False):
    """The `Dataset` of a split, with one class, "text", and a line in `problems` for each fault.

    A split is a folder of images with their truth beside them or in a folder `gt` in it or `SPLIT_gt` next to it, or
    `IMAGES:TRUTH` names the two folders. The ground truth of `img_1.jpg` is `gt_img_1.txt`, `img_1.gt` or `img_1.txt`. Image ids are the
    number in the names where these differ, else the position from 1. Raises DataError when a folder is missing or without images."""
    del training
    images, truth = _folders(pathlib.Path(data_config.dir), split)
    paths = sorted(
        (path for path in images.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES),
        key=lambda path: _natural(path.stem),
    )
    if not paths:
        raise DataError(
            f"{images}: no image in this folder (looked for {', '.join(IMAGE_SUFFIXES)})"
        )
    problems, records = [], []
    for image_id, path in zip(_image_ids([path.stem for path in paths]), paths):
        file = next(
            (truth / name for name in truth_names(path.stem) if (truth / name).is_file()), None
        )
        if file is None:
            problems.append(
                Problem.error(
                    "missing annotation file",
                    f"{truth}: no truth of image {path.name} (image id {image_id}): looked for "
                    f"{', '.join(truth_names(path.stem))}",
                )
            )
            continue
        try:
            size = image_size(str(path))
        except DataError as error:
            problems.append(Problem.error("unreadable image", f"{error} (image id {image_id})"))
            continue
        boxes, texts = read_truth(file, problems)
        objects = {
            "boxes": boxes,
            "classes": [0] * len(boxes),
            "ignore": [text == IGNORED_TEXT for text in texts],
            "names": texts,
            "areas": [None] * len(boxes),
        }
        records.append(
            make_record(
                image_id, str(path), size, objects, f"{file}: image id {image_id}", problems
            )
        )
    return Dataset(f"{images}", records, [CLASS_NAME], [1], problems)


def read_truth(file, problems):
    """(boxes [n, 4] half-open (ymin, xmin, ymax, xmax) px, n texts) of a truth file.

    A line is added to `problems` for each line of the file that is no word."""
    boxes, texts = [], []
    try:
        lines = pathlib.Path(file).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        problems.append(
            Problem.error(
                "unreadable annotation file", f"{file}: not readable as UTF-8 text: {error}"
            )
        )
        lines = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        match = next(filter(None, (pattern.fullmatch(line.strip()) for pattern in _LINES)), None)
        if match is None:
            problems.append(
                Problem.error(
                    "unreadable line",
                    f"{file}: line {number}: found '{line.strip()[:80]}', expected `xmin, ymin, xmax, ymax, \"text\"` or "
                    "`x1,y1,x2,y2,x3,y3,x4,y4,text`",
                )
            )
            continue
        boxes.append(_box([float(number) for number in re.findall(_NUMBER, match["numbers"])]))
        texts.append(match["text"] or "")
    return np.array(boxes, np.float64).reshape(-1, 4), texts


def write_truth(file, boxes, texts):
    """Writes a truth file of the 2013 layout: boxes [n, 4] half-open (ymin, xmin, ymax, xmax), whole px, and their texts."""
    lines = [
        f'{xmin:.0f}, {ymin:.0f}, {xmax - 1:.0f}, {ymax - 1:.0f}, "{text}"'
        for (ymin, xmin, ymax, xmax), text in zip(boxes, texts)
    ]
    pathlib.Path(file).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def truth_names(stem):
    """The file names under which the ground truth of an image may lie."""
    return f"gt_{stem}.txt", f"{stem}.gt", f"{stem}.txt"


def _box(numbers):
    if len(numbers) == 4:
        xmin, ymin, xmax, ymax = numbers
        return ymin, xmin, ymax + 1, xmax + 1
    x, y = numbers[::2], numbers[1::2]
    return min(y), min(x), max(y), max(x)


def _folders(folder, split):
    """(folder of the images, folder of their truth) of a split."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such data folder; set data.dir or --data_dir")
    images, colon, truth = split.partition(":")
    tried = (
        [folder / truth]
        if colon
        else [folder / split / "gt", folder / f"{split}_gt", folder / split]
    )
    for needed in (folder / images, tried[-1]):
        if not needed.is_dir():
            found = sorted(path.name for path in folder.iterdir() if path.is_dir())
            raise DataError(
                f"{needed}: no such folder (split '{split}'); folders there: {', '.join(found[:20]) or 'none'}. "
                "A split is a folder of images, or IMAGES:TRUTH"
            )
    return folder / images, next(path for path in tried if path.is_dir())


def _natural(stem):
    """Sorts img_2 before img_10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", stem)]


def _image_ids(stems):
    numbers = [re.findall(r"\d+", stem) for stem in stems]
    ids = [int(found[-1]) if found else 0 for found in numbers]
    return ids if all(numbers) and len(set(ids)) == len(ids) else list(range(1, len(stems) + 1))

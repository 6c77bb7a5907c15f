"""Reader of scene-text sets in the layouts of the ICDAR robust reading competitions and their kin.

A text file of words per image; what a line is, is told by its numbers and its last column:
    xmin, ymin, xmax, ymax, "text"        2011 and 2013; commas or spaces, inclusive px
    x1,y1,...,x4,y4,text                  2015, a quadrilateral
    x1,y1,...,x4,y4,script,text           MLT 2017 and 2019
    x1,y1,...,x4,y4,flag,"text"           RCTW; flag 1: to be ignored
    x1,y1,...,xn,yn,text                  polygons of 5 points and more: Total-Text, CTW1500, ArT
    x: [[..]], y: [[..]], ..., transcriptions: [u'text']      Total-Text's first files; '#': ignored
The axis-aligned box around the points is taken. The text may hold commas and stand in quotes; "###"
marks a word that is to be ignored.
"""

import pathlib
import re

import numpy as np

from lhrcnn.data.formats import IMAGE_SUFFIXES
from lhrcnn.data.readers import gathering, lookup
from lhrcnn.data.readers.records import LabelledBox, LabelledImage, make_dataset
from lhrcnn.data.schema import Problem
from lhrcnn.errors import DataError

CLASS_NAME, IGNORED_TEXT = "text", "###"
_SCRIPTS = {"Arabic", "Bangla", "Chinese", "Hindi", "Japanese", "Korean", "Latin", "Mixed"}
_SCRIPTS |= {"Symbols", "None"}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_TOTAL_TEXT = re.compile(
    r"x: \[\[(?P<x>[^]]*)\]\], y: \[\[(?P<y>[^]]*)\]\].*transcriptions: \[u?(?P<text>.*)\]"
)
_YOLO = re.compile(r"\d+(?: (?:0(?:\.\d+)?|1(?:\.0+)?)){4}")
_EXPECTED = '`xmin, ymin, xmax, ymax, "text"` or `x1,y1,x2,y2,x3,y3,x4,y4,text`'


def read(data_config, split, training=False):
    """The `Dataset` of a split, with one class, "text".

    A split is a folder of images with their ground truth beside them or in a folder `gt` in it or
    `SPLIT_gt` next to it, or `IMAGES:TRUTH` names the two folders. The ground truth of `img_1.jpg`
    is `gt_img_1.txt`, `img_1.gt`, `img_1.txt` or Total-Text's `poly_gt_img_1.txt`. Image ids are
    the number in the names where these differ, else the position from 1. Raises DataError when a
    folder is missing or without images, or the lines are YOLO's."""
    images_folder, truth = _folders(lookup.data_folder(data_config.dir), split)
    paths = _image_paths(images_folder)
    problems, images = [], []
    for image_id, path in zip(_image_ids([path.stem for path in paths]), paths):
        names = truth_names(path.stem)
        file = next((truth / name for name in names if (truth / name).is_file()), None)
        if file is None:
            text = (
                f"{truth}: no truth of image {path.name} (image id {image_id}): looked for "
                f"{', '.join(names)}; left out"
            )
            problems.append(Problem.warning("missing annotation file", text))
            continue
        boxes = [
            LabelledBox(CLASS_NAME, box, text == IGNORED_TEXT)
            for box, text in zip(*read_truth(file, problems))
        ]
        where = f"{file}: image id {image_id}"
        about = {"boxes": boxes, "source_id": image_id, "path": str(path)}
        images.append(LabelledImage((), file, where, **about))
    images = gathering.with_sizes(images, problems)
    return make_dataset(f"{images_folder}", images, problems, [CLASS_NAME])


def _image_paths(folder):
    """The image files of a folder, img_2 before img_10. Raises DataError where there is none."""
    paths = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
    paths = [path for path in paths if not lookup.is_hidden(path.name)]
    if not paths:
        suffixes = ", ".join(IMAGE_SUFFIXES)
        raise DataError(f"{folder}: no image in this folder (looked for {suffixes})")
    return sorted(paths, key=lambda path: _natural(path.stem))


def read_truth(file, problems):
    """(boxes [n, 4] half-open (ymin, xmin, ymax, xmax) px, n texts) of a file of ground truth.

    The text of a word that is to be ignored is "###". Each line that is no word is an error in
    `problems`. Raises DataError where the lines are YOLO's."""
    boxes, texts, lines = [], [], lookup.lines(file)
    if lines and all(_YOLO.fullmatch(line) for _, line in lines):
        raise DataError(
            f"{file}: its lines are YOLO's, such as '{lines[0][1]}': class, center and size as "
            "shares of the image; set data.format=yolo"
        )
    for number, line in lines:
        word = _word(line)
        if word is None:
            text = f"{file}: line {number}: found '{line[:80]}', expected {_EXPECTED}"
            problems.append(Problem.error("unreadable line", text))
            continue
        boxes.append(_box(word[0]))
        texts.append(word[1])
    return np.array(boxes, np.float64).reshape(-1, 4), texts


def _word(line):
    """(coordinates, text) of a line; None where it is no word."""
    match = _TOTAL_TEXT.fullmatch(line)
    if match:
        x, y = (_NUMBER.findall(match[axis]) for axis in "xy")
        if len(x) != len(y) or len(x) < 3:
            return None
        text = match["text"].strip("'\"")
        flat = [float(value) for point in zip(x, y) for value in point]
        return flat, IGNORED_TEXT if text == "#" else text
    numbers, text = _leading_numbers(line)
    count = _num_coordinates(len(numbers), text)
    if not count:
        return None
    rest = numbers[count:]
    if rest == ["1"] and text and count == 8:  # RCTW's flag
        text = IGNORED_TEXT
    elif rest and not (text and count == 8 and rest == ["0"]):
        text = ",".join([*rest, text]) if text else ",".join(rest)
    script, comma, following = text.partition(",")
    if count == 8 and comma and script.strip() in _SCRIPTS:
        text = following
    return [float(number) for number in numbers[:count]], _unquoted(text.strip())


def _leading_numbers(line):
    """(texts of the numbers that a line begins with, what follows them)."""
    separator = r"\s*,\s*" if re.match(rf"{_NUMBER.pattern}\s*,", line) else r"\s+"
    match = re.match(rf"(?:{_NUMBER.pattern}(?:{separator}|\s*$))*", line)
    return _NUMBER.findall(match[0]), line[match.end() :]


def _num_coordinates(count, text):
    """How many of `count` leading numbers are coordinates, where `text` follows them; 0: none."""
    if count < 4:
        return 0
    if count < 8:
        return 4
    if text or count % 2 == 0:  # an odd number of numbers ends in a flag, or is all of a rectangle
        return count - count % 2
    return count - 1


def _unquoted(text):
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def write_truth(file, boxes, texts):
    """Writes a file of the 2013 layout.

    boxes [n, 4]: half-open (ymin, xmin, ymax, xmax), whole px; texts: n words."""
    lines = [
        f'{xmin:.0f}, {ymin:.0f}, {xmax - 1:.0f}, {ymax - 1:.0f}, "{text}"'
        for (ymin, xmin, ymax, xmax), text in zip(boxes, texts)
    ]
    pathlib.Path(file).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def truth_names(stem):
    """The file names under which the ground truth of an image may lie."""
    return f"gt_{stem}.txt", f"{stem}.gt", f"{stem}.txt", f"poly_gt_{stem}.txt"


def _box(numbers):
    if len(numbers) == 4:
        xmin, ymin, xmax, ymax = numbers
        return ymin, xmin, ymax + 1, xmax + 1
    x, y = numbers[::2], numbers[1::2]
    return min(y), min(x), max(y), max(x)


def _truth_folders(folder, split):
    return [folder / split / "gt", folder / f"{split}_gt", folder / split]


def has_truth(folder, split):
    """Whether a folder of images has its truth in it or beside it."""
    paths = (place.glob("*") for place in _truth_folders(folder, split) if place.is_dir())
    return any(path.suffix.lower() in (".txt", ".gt") for each in paths for path in each)


def _folders(folder, split):
    """(folder of the images, folder of their truth) of a split."""
    images, colon, truth = split.partition(":")
    if not colon:
        aliases = gathering.ALIASES.get(split, ())
        images = split = next((name for name in aliases if (folder / name).is_dir()), split)
    tried = [folder / truth] if colon else _truth_folders(folder, split)
    for needed in (folder / images, tried[-1]):
        if not needed.is_dir():
            found = sorted(path.name for path in folder.iterdir() if path.is_dir())
            raise DataError(
                f"{needed}: no such folder (split '{split}'); folders there: "
                f"{', '.join(found[:20]) or 'none'}. A split is a folder of images, or IMAGES:TRUTH"
            )
    return folder / images, next(path for path in tried if path.is_dir())


def _natural(stem):
    """Sorts img_2 before img_10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", stem)]


def _image_ids(stems):
    numbers = [re.findall(r"\d+", stem) for stem in stems]
    ids = [int(found[-1]) if found else 0 for found in numbers]
    return ids if all(numbers) and len(set(ids)) == len(ids) else list(range(1, len(stems) + 1))

"""Reader of PASCAL VOC devkits: an XML file an image, lists of images in ImageSets/Main.

Format: the VOC2012 development kit, section 'Ground truth annotation'. Corners there are 1-based and inclusive, so a box in
half-open px is (ymin - 1, xmin - 1, ymax, xmax); decimals are kept. An object whose two corners coincide would be one pixel by
that rule; as it is a slip of the annotator's hand wherever it occurs, it is a fault here.
"""

import pathlib
import re
import xml.etree.ElementTree as ElementTree

from lhrcnn.data.headers import image_size
from lhrcnn.data.readers.records import IMAGE_SUFFIXES, make_record
from lhrcnn.data.schema import Dataset, Problem
from lhrcnn.errors import DataError


def read(data_config, split, training=False):
    """The `Dataset` of a split like `VOC2007/trainval+VOC2012/trainval` with a line in `problems` for each fault.

    The data folder is a devkit with a folder a year, or one such folder itself; then the split is the list's name alone.
    Classes are the sorted names in all annotations of the devkit, so every split has the same. Objects marked difficult become
    `ignore`, unless `training` and data.use_difficult. Image ids are the digits of the file names where all are made of digits
    (2008_000012 is 2008000012), else the position in the split from 1. Raises DataError when a folder or list is missing."""
    devkit, years = _find_years(pathlib.Path(data_config.dir))
    names = class_names(years)
    if not names:
        raise DataError(
            f"{devkit}: no object in any annotation file of {', '.join(f'{year}/Annotations' for year in years)}"
        )
    class_of = {name: k for k, name in enumerate(names)}
    problems, entries = [], {}
    for part in split.split("+"):
        year, file = _find_list(devkit, years, part.strip())
        images = _images(year)
        for name in read_list(file):
            if (year, name) in entries:
                problems.append(
                    Problem.error(
                        "repeated image",
                        f"{file}: image {name} stands twice in split '{split}'; the second is left out",
                    )
                )
            else:
                entries[year, name] = images.get(name)
    records = []
    for image_id, ((year, name), image) in zip(
        _image_ids([name for _, name in entries]), entries.items()
    ):
        parsed = parse(
            year / "Annotations" / f"{name}.xml",
            image_id,
            image or year / "JPEGImages" / f"{name}.jpg",
            problems,
        )
        if parsed:
            size, objects, path, where = parsed
            if training and data_config.use_difficult:
                objects["ignore"] = [False] * len(objects["ignore"])
            objects["classes"] = [class_of[name] for name in objects["names"]]
            records.append(make_record(image_id, path, size, objects, where, problems))
    return Dataset(
        name=f"{devkit} {split}",
        records=records,
        class_names=names,
        category_ids=list(range(1, len(names) + 1)),
        problems=problems,
    )


def class_names(years):
    """Sorted names of the objects in all annotation files of these folders; unreadable files are passed over here."""
    names = set()
    for year in years:
        for file in (year / "Annotations").glob("*.xml"):
            try:
                names.update(
                    _text(element, "name")
                    for element in ElementTree.parse(file).getroot().iterfind("object")
                )
            except (ElementTree.ParseError, OSError, UnicodeDecodeError):
                continue  # reported by its own split
    return sorted(names - {""})


def read_list(file):
    """Image names in an ImageSets list. Of a list for one class (`NAME 1`, `NAME 0` or `NAME -1` in every line) the images
    without the class (-1) are left out."""
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    labelled = [re.fullmatch(r"(.+?)\s+(-1|0|1)", line) for line in lines]
    if lines and all(labelled):
        return [match.group(1) for match in labelled if match.group(2) != "-1"]
    return lines


def _find_years(folder):
    """The devkit, and its folders that hold ImageSets."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such data folder; set data.dir or --data_dir")
    if (folder / "ImageSets").is_dir():
        return folder, [folder]
    for devkit in (folder, folder / "VOCdevkit"):
        years = sorted(child for child in devkit.glob("*") if (child / "ImageSets").is_dir())
        if years:
            return devkit, years
    found = sorted(child.name for child in folder.iterdir())
    raise DataError(
        f"{folder}: not a VOC devkit: neither it nor a folder in it holds ImageSets/; "
        f"found {', '.join(found[:10]) or 'nothing'}"
    )


def _find_list(devkit, years, part):
    """(year folder, list file) of one part of a split, `YEAR/LIST` or `LIST`."""
    year_name, _, list_name = part.rpartition("/")
    chosen = [
        year
        for year in years
        if not year_name or year.name == year_name or year.resolve().name == year_name
    ]
    if len(chosen) != 1:
        raise DataError(
            f"{devkit}: split '{part}' fits {len(chosen)} of its folders {', '.join(year.name for year in years)}; "
            f"write it as FOLDER/LIST, e.g. data.train_split={years[0].name}/trainval"
        )
    sets = chosen[0] / "ImageSets"
    for file in (sets / "Main" / f"{list_name}.txt", sets / f"{list_name}.txt"):
        if file.is_file():
            return chosen[0], file
    found = sorted(file.stem for pattern in ("Main/*.txt", "*.txt") for file in sets.glob(pattern))
    raise DataError(
        f"{sets / 'Main' / list_name}.txt: no such list of images (split '{part}'); "
        f"there are {', '.join(found[:30]) or 'none'}"
    )


def _images(year):
    """Name without suffix -> image file of a year folder."""
    folder = year / "JPEGImages"
    if not folder.is_dir():
        raise DataError(f"{folder}: no such image folder")
    return {file.stem: file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES}


def _image_ids(names):
    digits = [name.replace("_", "") for name in names]
    if all(re.fullmatch("[0-9]{1,18}", text) for text in digits) and len(
        {int(text) for text in digits}
    ) == len(digits):
        return [int(text) for text in digits]
    return list(range(1, len(names) + 1))


def parse(file, image_id, image, problems, first_px=1, name=None):
    """(size, objects for `make_record`, image path, message lead) of an annotation file; None with a line in `problems`.

    `first_px` is the coordinate of the first pixel; where `name` is given, the file must be of that image if it names one."""
    where = f"{file}: image id {image_id}"
    try:
        root = ElementTree.parse(file).getroot()
        height, width = _number(root, "size/height", 0), _number(root, "size/width", 0)
        size = (int(height), int(width)) if height >= 1 and width >= 1 else image_size(str(image))
    except FileNotFoundError:
        problems.append(
            Problem.error("missing annotation file", f"{where}: no such annotation file")
        )
        return None
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        problems.append(
            Problem.error("unreadable annotation file", f"{where}: not readable as XML: {error}")
        )
        return None
    except DataError as error:
        problems.append(Problem.error("unreadable image", f"{error} (image id {image_id})"))
        return None
    except ValueError as error:
        problems.append(Problem.error("bad image size", f"{where}: size: {error}"))
        return None
    found = _text(root, "filename")
    if name and found and name not in (found, found.rpartition(".")[0]):
        problems.append(
            Problem.error(
                "annotations of another image", f"{where}: is of another image, '{found}'"
            )
        )
        return None
    objects = {"boxes": [], "ignore": [], "names": [], "areas": []}
    for number, element in enumerate(root.iterfind("object"), start=1):
        try:
            box = _box(element, first_px)
        except ValueError as error:
            problems.append(
                Problem.error(
                    "bad object", f"{where}: object {number} '{_text(element, 'name')}': {error}"
                )
            )
            continue
        objects["boxes"].append(box)
        objects["names"].append(_text(element, "name"))
        objects["ignore"].append(_text(element, "difficult") == "1")
        objects["areas"].append(None)
    return size, objects, str(image), where


def _box(element, first_px):
    """Half-open (ymin, xmin, ymax, xmax) px of an object element."""
    if not _text(element, "name"):
        raise ValueError("it has no name")
    xmin, ymin, xmax, ymax = (
        _number(element, f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")
    )
    if ymax == ymin and xmax == xmin:
        return ymin, xmin, ymin, xmin
    return ymin - first_px, xmin - first_px, ymax + 1 - first_px, xmax + 1 - first_px


def _text(element, tag):
    return (element.findtext(tag) or "").strip()


def _number(element, tag, default=None):
    text = _text(element, tag)
    if not text and default is not None:
        return default
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{tag} is '{text}', expected a number") from None

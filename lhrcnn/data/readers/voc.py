"""Reader of PASCAL VOC devkits: an XML file per image, lists of images in ImageSets/Main.

Format: the VOC2012 development kit, section 'Ground truth annotation'. Corners there are 1-based
and inclusive, so a box in half-open px is (ymin - 1, xmin - 1, ymax, xmax); decimals are kept. Some
tools write 0-based half-open corners (docs/formats.md): data.voc_corners, which takes a corner 0
and CVAT's and datumaro's `<attributes>` for signs of them. An object whose corners coincide would
be one pixel by VOC's rule; as it is a slip of the annotator's hand wherever it occurs, it counts as
empty.
"""

import os
import re
import xml.etree.ElementTree as ElementTree

from lhrcnn.data.formats import IMAGE_SUFFIXES
from lhrcnn.data.headers import image_size
from lhrcnn.data.readers import parsing
from lhrcnn.data.readers.lookup import data_folder, lines, listed, read_xml
from lhrcnn.data.readers.records import LabelledBox, LabelledImage, image_problem, records_of
from lhrcnn.data.schema import Dataset, Problem
from lhrcnn.errors import DataError

# What is added to the (minima, maxima) of a file for half-open px.
CORNERS = {"one_based": (-1, 0), "zero_based": (0, 0), "zero_based_inclusive": (0, 1)}


def read(data_config, split, training=False):
    """The `Dataset` of a split like `VOC2007/trainval+VOC2012/trainval`.

    The data folder is a devkit with a folder per year, or one such folder itself; then the split is
    the list's name alone. Classes are the sorted names in all annotations of the devkit, so every
    split has the same. Objects marked difficult become `ignore`, unless `training` and
    data.use_difficult. Image ids are the digits of the file names where all are made of digits
    (2008_000012 is 2008000012), else the position in the split from 1. Raises DataError when a
    folder or list is missing."""
    devkit, years = _find_years(data_folder(data_config.dir))
    names, has_zero = _survey(years)
    if not names:
        folders = ", ".join(f"{year}/Annotations" for year in years)
        raise DataError(f"{devkit}: no object in any annotation file of {folders}")
    class_of, problems = {name: k for k, name in enumerate(names)}, []
    corners = data_config.voc_corners
    if corners == "auto":
        corners = "zero_based" if has_zero else "one_based"
        if has_zero:
            text = (
                f"{devkit}: a corner is 0, or objects have CVAT's <attributes>, so corners are "
                "taken as 0-based (data.voc_corners)"
            )
            problems.append(Problem.note("0-based corners", text))
    entries = _entries(devkit, years, split, problems)
    keep_difficult, images = training and data_config.use_difficult, []
    for image_id, ((year, name), image) in zip(_image_ids(entries), entries.items()):
        path = image or year / "JPEGImages" / f"{name}.jpg"
        file = _annotation(year, name)
        found = parse(file, image_id, path, problems, CORNERS[corners], keep_difficult)
        images.extend([found] if found else [])
    records = records_of(images, class_of, problems)
    ids = list(range(1, len(names) + 1))
    return Dataset(f"{devkit} {split}", records, names, ids, problems)


def _survey(years):
    """(sorted class names, whether corners are 0-based) of all annotation files of these folders.

    Unreadable files are passed over here: they are reported by their own split."""
    names, has_zero = set(), False
    for year in years:
        for file in listed(year / "Annotations", ".xml"):
            try:
                objects = list(read_xml(file).iterfind("object"))
            except (ElementTree.ParseError, OSError):
                continue
            names.update(_text(element, "name") for element in objects)
            corners = (_text(e, f"bndbox/{key}") for e in objects for key in ("xmin", "ymin"))
            has_zero = has_zero or any(re.fullmatch(r"0+(\.0*)?", text) for text in corners)
            has_zero = has_zero or any(e.find("attributes") is not None for e in objects)
    return sorted(names - {""}), has_zero


def _entries(devkit, years, split, problems):
    """{(year folder, image name): image file or None} of a split, in its order."""
    entries = {}
    for part in split.split("+"):
        year, file = _find_list(devkit, years, part.strip())
        images, seen = _images(year), set()
        for entry in read_list(file):
            name = _image_name(entry, year, images)
            if name in seen:
                text = f"{file}: image {name} stands twice in this list; the second is left out"
                problems.append(Problem.error("repeated image", text))
            seen.add(name)
            entries.setdefault((year, name), images.get(name))
    return entries


def read_list(file):
    """The images in an ImageSets list, names or paths without suffixes of image files.

    Of a list for one class (`NAME 1`, `NAME 0` or `NAME -1` in every line) the images without the
    class (-1) are left out."""
    names = [line for _, line in lines(file)]
    labelled = [re.fullmatch(r"(.+?)\s+(-1|0|1)", line) for line in names]
    if names and all(labelled):
        names = [match.group(1) for match in labelled if match.group(2) != "-1"]
    return [_without_suffix(line.replace("\\", "/")) for line in names]


def _without_suffix(entry):
    stem, dot, suffix = entry.rpartition(".")
    return stem if dot + suffix.lower() in IMAGE_SUFFIXES else entry


def _image_name(entry, year, images):
    """What the files of an image of a list are called below Annotations and JPEGImages: with
    folders, as CVAT writes them, where they lie in some there."""
    words = entry.split("/")
    tails = ["/".join(words[start:]) for start in range(len(words))]
    # os.path, since pathlib raises for names that no file can have
    there = (n for n in tails if n in images or os.path.isfile(_annotation(year, n)))
    return next(there, tails[-1])


def _annotation(year, name):
    return year / "Annotations" / f"{name}.xml"


def _find_years(folder):
    """The devkit, and its folders that hold ImageSets."""
    if (folder / "ImageSets").is_dir():
        return folder, [folder]
    for devkit in (folder, folder / "VOCdevkit"):
        years = sorted(child for child in devkit.glob("*") if (child / "ImageSets").is_dir())
        if years:
            return devkit, years
    found = sorted(child.name for child in folder.iterdir())
    raise DataError(
        f"{folder}: not a VOC devkit: neither it nor a folder in it holds ImageSets/ "
        "(data.format=voc_folder reads XML files without it); "
        f"found {', '.join(found[:10]) or 'nothing'}"
    )


def _find_list(devkit, years, part):
    """(year folder, list file) of one part of a split, `YEAR/LIST` or `LIST`."""
    year_name, _, list_name = part.rpartition("/")
    chosen = [year for year in years if year_name in ("", year.name, year.resolve().name)]
    if len(chosen) != 1:
        raise DataError(
            f"{devkit}: split '{part}' fits {len(chosen)} of its folders "
            f"{', '.join(year.name for year in years)}; write it as FOLDER/LIST, e.g. "
            f"data.train_split={years[0].name}/trainval"
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
    """Name without suffix, or path below JPEGImages, -> image file of a year folder."""
    folder = year / "JPEGImages"
    if not folder.is_dir():
        raise DataError(f"{folder}: no such image folder")
    files = listed(folder, *IMAGE_SUFFIXES)
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}


def _image_ids(entries):
    digits = [name.replace("_", "") for _, name in entries]
    if all(re.fullmatch("[0-9]{1,18}", text) for text in digits):
        ids = [int(text) for text in digits]
        if len(set(ids)) == len(ids) and max(ids, default=0) < 2**53:
            return ids
    return list(range(1, len(digits) + 1))


def parse(file, image_id, image, problems, corners, keep_difficult, name=None):
    """The `LabelledImage` of an annotation file and the path of its image.

    None, with a problem, where it cannot be read. corners: see `CORNERS`; where `name` is given,
    the file must be of that image if it names one."""
    where = f"{file}: image id {image_id}"
    try:
        root = read_xml(file)
        height, width = _number(root, "size/height", 0), _number(root, "size/width", 0)
        size = (int(height), int(width)) if height >= 1 and width >= 1 else image_size(str(image))
        found = _text(root, "filename")
        if name and found and name not in (found, found.rpartition(".")[0]):
            raise ValueError(f"is of another image, '{found}'")
    except DataError as error:
        problems.append(image_problem(image, f"{error} (image id {image_id})"))
        return None
    except FileNotFoundError:
        text = f"{where}: no such annotation file"
        problems.append(Problem.error("missing annotation file", text))
        return None
    except (OSError, ElementTree.ParseError, ValueError) as error:
        no_xml = isinstance(error, ElementTree.ParseError)
        found = (
            f"not readable as XML: {error}" if no_xml else getattr(error, "strerror", "") or error
        )
        problems.append(Problem.error("unreadable annotation file", f"{where}: {found}"))
        return None
    boxes = []
    for number, element in enumerate(root.iterfind("object"), start=1):
        name = _text(element, "name")
        try:
            box = _box(element, corners)
        except ValueError as error:
            text = f"{where}: object {number} '{name}': {error}"
            problems.append(Problem.error("bad object", text))
            continue
        ignore = parsing.is_true(_text(element, "difficult")) and not keep_difficult
        boxes.append(LabelledBox(name, box, ignore))
    return LabelledImage(str(image), size, boxes, where, image_id)


def _box(element, corners):
    """Half-open (ymin, xmin, ymax, xmax) px of an object element."""
    if not _text(element, "name"):
        raise ValueError("it has no name")
    xmin, ymin, xmax, ymax = (
        _number(element, f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")
    )
    if ymax == ymin and xmax == xmin:
        return ymin, xmin, ymin, xmin
    low, high = corners
    return ymin + low, xmin + low, ymax + high, xmax + high


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

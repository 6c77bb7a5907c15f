"""Reader of PASCAL VOC devkits: an XML file per image (see `voc_xml`), and lists of images in
ImageSets/Main, in ImageSets itself, or in folders of other tasks such as ImageSets/Layout."""

import re

from lhrcnn.data.formats import IMAGE_SUFFIXES
from lhrcnn.data.readers import gathering, voc_xml
from lhrcnn.data.readers.lookup import data_folder, is_hidden, lines, listed
from lhrcnn.data.readers.records import make_dataset
from lhrcnn.data.schema import Problem
from lhrcnn.errors import DataError


def read(data_config, split, training=False):
    """The `Dataset` of a split like `VOC2007/trainval+VOC2012/trainval`.

    The data folder is a devkit with a folder per year, or one such folder itself; then the split is
    the list's name alone. Classes are the sorted names in all annotations of the devkit, so every
    split has the same. Objects marked difficult become `ignore`, unless `training` and
    data.use_difficult. Image ids are the digits of the file names where all are made of digits
    (2008_000012 is 2008000012), else the position in the split from 1. Raises DataError when a
    folder or list is missing."""
    years, problems = find_years(data_folder(data_config.dir)), []
    annotations = {year: _by_name(year / "Annotations", ".xml") for year in years}
    files = [file for own in annotations.values() for file in own.values()]
    devkit = years[0] if len(years) == 1 else years[0].parent
    names, corners = voc_xml.survey(files, data_config.voc_corners, devkit, problems)
    if not names:
        folders = ", ".join(f"{year}/Annotations" for year in years)
        raise DataError(f"{devkit}: no object in any annotation file of {folders}")
    entries, images = _entries(annotations, split, problems), []
    use_difficult = training and data_config.use_difficult
    for image_id, ((year, name), image) in zip(_image_ids(entries), entries.items()):
        file = annotations[year].get(name, year / "Annotations" / f"{name}.xml")
        where = f"{file}: image id {image_id}"
        found = voc_xml.parse(file, where, corners, use_difficult, problems)
        if found:
            found.source_id = image_id
            found.path = str(image or year / "JPEGImages" / f"{name}.jpg")
            images.append(found)
    images = gathering.with_sizes(images, problems)
    return make_dataset(f"{devkit} {split}", images, problems, names)


def _entries(annotations, split, problems):
    """{(year folder, image name): image file or None} of a split, in its order; annotations: {year
    folder: {name: its file}}."""
    entries = {}
    for part in split.split("+"):
        year, file = _find_list(list(annotations), part.strip())
        images, seen = _images(year), set()
        for entry in read_list(file):
            name = _image_name(entry, annotations[year], images)
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


def _image_name(entry, annotations, images):
    """What the files of an image of a list are called below Annotations and JPEGImages: with
    folders, as CVAT writes them, where they lie in some there."""
    words = entry.split("/")
    tails = ["/".join(words[start:]) for start in range(len(words))]
    return next((name for name in tails if name in images or name in annotations), tails[-1])


def find_years(folder):
    """The folders that hold ImageSets: this one, or those of the years of a devkit in it. Raises
    DataError."""
    for pattern in ("ImageSets", "*/ImageSets", "*/*/ImageSets", "*/*/*/ImageSets"):
        years = sorted(sets.parent for sets in folder.glob(pattern) if sets.is_dir())
        if years:
            return years
    found = sorted(child.name for child in folder.iterdir())
    raise DataError(
        f"{folder}: not a VOC devkit: neither it nor a folder in it holds ImageSets/ "
        "(data.format=voc_folder reads XML files without it); "
        f"found {', '.join(found[:10]) or 'nothing'}"
    )


def lists_of(year):
    """{name: file} of the lists of images of a year folder."""
    sets = year / "ImageSets"
    usual = [*sets.glob("*.txt"), *sets.glob("Main/*.txt")]
    files = usual or sorted(sets.glob("*/*.txt"), reverse=True)
    return {file.stem: file for file in files if not is_hidden(file.name)}


def _find_list(years, part):
    """(year folder, list file) of one part of a split, `YEAR/LIST` or `LIST`."""
    year_name, _, list_name = part.rpartition("/")
    chosen = [year for year in years if year_name in ("", year.name, year.resolve().name)]
    if len(chosen) != 1:
        raise DataError(
            f"{years[0].parent}: split '{part}' fits {len(chosen)} of its folders "
            f"{', '.join(year.name for year in years)}; write it as FOLDER/LIST, e.g. "
            f"data.train_split={years[0].name}/trainval"
        )
    (year,) = chosen
    lists = lists_of(year)
    for name in gathering.ALIASES.get(list_name, (list_name,)):
        if name in lists:
            return year, lists[name]
    raise DataError(
        f"{year / 'ImageSets' / 'Main' / list_name}.txt: no such list of images (split '{part}'); "
        f"there are {', '.join(sorted(lists)[:30]) or 'none'}"
    )


def _images(year):
    """{name: image file} of a year folder, as `_by_name`."""
    folder = year / "JPEGImages"
    if not folder.is_dir():
        raise DataError(f"{folder}: no such image folder")
    return _by_name(folder, *IMAGE_SUFFIXES)


def _by_name(folder, *suffixes):
    """{name without suffix, with the folders below this one: file} of those with a suffix."""
    files = listed(folder, *suffixes)
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}


def _image_ids(entries):
    digits = [name.replace("_", "") for _, name in entries]
    if all(re.fullmatch("[0-9]{1,18}", text) for text in digits):
        ids = [int(text) for text in digits]
        if len(set(ids)) == len(ids) and max(ids, default=0) < 2**53:
            return ids
    return list(range(1, len(digits) + 1))

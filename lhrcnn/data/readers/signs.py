"""By what data.format=auto knows a format: names of files, and the beginnings of a few of them."""

import collections
import functools
import os
import pathlib
import re

from lhrcnn.data.formats import IMAGE_SUFFIXES
from lhrcnn.data.readers import (
    createml,
    crowdhuman,
    csv_files,
    cvat,
    icdar,
    kitti,
    label_studio,
    labelme,
    lookup,
    via,
    voc_folder,
    wider_face,
    yolo,
    yolo_layout,
)
from lhrcnn.data.readers.gathering import ALIASES, ALL, Kind, images_in_lists

_LOOKED_AT = 20  # files of one suffix


class Listing:
    """The files of a data folder."""

    def __init__(self, folder):
        """Raises DataError where there is no such folder."""
        self.folder = lookup.data_folder(folder)
        self.paths = lookup.walk(self.folder)

    @functools.cache  # noqa: B019, a listing lives as long as one look at a folder
    def some(self, *suffixes):
        """Up to 20 of the files with one of these suffixes, from all over the folder."""
        files = [path for path in self.paths if path.lower().endswith(suffixes)]
        return [pathlib.Path(path) for path in files[:: max(1, -(-len(files) // _LOOKED_AT))]]

    def first(self, kind):
        """The first of some files of a `Kind`, as a path below the folder; empty: none."""
        for file in self.some(*kind.suffixes):
            if kind.test(file):
                return str(file.relative_to(self.folder))
        return ""

    def images(self):
        """Paths of the image files."""
        return [path for path in self.paths if path.lower().endswith(IMAGE_SUFFIXES)]

    @functools.cache  # noqa: B019
    def folders(self, *suffixes):
        """Sorted paths below the folder of all folders with files, or with files of a suffix."""
        files = [path for path in self.paths if not suffixes or path.lower().endswith(suffixes)]
        return sorted({os.path.relpath(os.path.dirname(path), self.folder) for path in files})

    def counts(self):
        """[(suffix, number of files)], the most first."""
        return collections.Counter(
            os.path.splitext(path)[1].lower() for path in self.paths
        ).most_common(5)


def _first(meaning, kind):
    """A sign: one of a folder's files is of a `Kind`."""

    def sign(listing):
        file = listing.first(kind)
        return file and f"{file}: {meaning}"

    return sign


def _is_coco(file):
    text = lookup.head(file) + lookup.tail(file)
    objects = '"category_id"' in text and '"image_id"' in text
    return (
        text.lstrip().startswith("{") and '"images"' in text and (objects or '"categories"' in text)
    )


def _devkit(listing):
    lists = [path for path in listing.some(".txt") if "ImageSets" in path.parts]
    annotated = any(path.parent.name == "Annotations" for path in listing.some(".xml"))
    is_voc = lists and annotated and not _imagenet_det(listing)
    return f"{lists[0].relative_to(listing.folder)} beside Annotations/" if is_voc else ""


def _imagenet_det(listing):
    found = [name for name in listing.folders() if re.search(r"Annotations[/\\]DET", name)]
    return f"{found[0]}/" if found else ""


def _voc_folder(listing):
    if _devkit(listing) or _imagenet_det(listing):
        return ""
    return _first("<annotation> of an image", voc_folder.KIND)(listing)


def _icdar_line(file):
    line = next((line for line in lookup.head(file, 4096).splitlines() if line.strip()), "")
    words = line.split(",") if "," in line else line.split()
    whole = [word for word in words[:8] if re.fullmatch(r"-?\d+", word.strip())]
    return len(whole) == 8 or (len(whole) >= 4 and '"' in line)


def _yolo(listing):
    data = Kind(lambda file: yolo_layout.read_yaml(file) is not None, (".yaml", ".yml"))
    label = Kind(lambda file: yolo.looks_like_label(lookup.head(file, 4096)), (".txt",))
    of_data = _first("names of classes", data)
    return of_data(listing) or _first("a class number and shares of the image", label)(listing)


# What tells a format: a function of a Listing, or what a file of it is called and its `Kind`.
_SIGNS = {
    "coco": ("images, annotations and categories", Kind(_is_coco, (".json",))),
    "voc": _devkit,
    "voc_folder": _voc_folder,
    "imagenet_det": _imagenet_det,
    "icdar": ("corners of a word", Kind(_icdar_line, (".txt", ".gt"))),
    "yolo": _yolo,
    "csv": ("columns of boxes", csv_files.KIND),
    "labelme": ("shapes of an image", labelme.KIND),
    "cvat": ("<annotations> of CVAT", cvat.KIND),
    "via": ("regions of VIA", via.KIND),
    "label_studio": ("tasks of Label Studio", label_studio.KIND),
    "kitti": ("a class and 14 numbers", kitti.KIND),
    "wider_face": ("images and their faces", wider_face.KIND),
    "crowdhuman": (".odgt", crowdhuman.KIND),
    "createml": ("a list of images with coordinates", createml.KIND),
}
SIGNS = {name: _first(*it) if isinstance(it, tuple) else it for name, it in _SIGNS.items()}

# A format -> those whose signs its own files may show as well.
STRONGER = {
    "wider_face": ("yolo", "icdar"),
    "kitti": ("icdar",),
    "voc": ("yolo", "icdar"),
    "yolo": ("icdar",),
}


def splits(format_, listing):
    """({train, val or test: its name in data.format}, the name of everything)."""
    return _SPLITS.get(format_, _by_place)(listing)


def _by_place(listing, files=(), folders=()):
    """Splits named by folders (these, or all), lists, and annotation files of many images."""
    words = _words(folders or listing.folders())
    words |= {word for file in files for word in (file.stem, *re.split(r"[^A-Za-z]+", file.stem))}
    words |= images_in_lists(listing.folder, ALIASES, listing.images()).keys()
    return _named(words), ALL


def _words(folders):
    return {word for name in folders for word in pathlib.Path(name).parts}


def _by_kind(kind):
    """As `_by_place`, by annotation files; those of an image each by their folders alone, where
    these name splits."""

    def splits(listing):
        if kind.many:
            return _by_place(listing, filter(kind.test, listing.some(*kind.suffixes)))
        folders = listing.folders(*kind.suffixes)
        return _by_place(listing, folders=folders if _named(_words(folders)) else ())

    return splits


def _named(words):
    words = {word.lower() for word in words}
    return {name: name for name, aliases in ALIASES.items() if words & set(aliases)}


def _icdar_splits(listing):
    """A split is a folder of images; without one to train on, the first of them.

    Where the truth lies elsewhere, in a folder called after the same split, both are named."""
    found, folders = {}, listing.folders(*IMAGE_SUFFIXES)
    for name, aliases in ALIASES.items():
        of_split, truth = (
            [name for name in each if set(aliases) & set(re.split(r"[^a-z]+", name.lower()))]
            for each in (folders, listing.folders(".txt", ".gt"))
        )
        if of_split:
            apart = len(truth) == 1 and not icdar.has_truth(listing.folder, of_split[0])
            found[name] = f"{of_split[0]}:{truth[0]}" if apart else of_split[0]
    return found, next(iter(folders), ".")


def _yolo_splits(listing):
    keys = yolo_layout.describe(listing.folder, listing.paths).splits
    return ({key: key for key in keys}, ALL) if "" not in keys else _by_place(listing)


def _csv_splits(listing):
    """Splits of the files with columns of boxes alone: Open Images has others beside them."""
    files = filter(csv_files.KIND.test, listing.some(*csv_files.KIND.suffixes))
    found = _named({word for file in files for word in csv_files.split_words(file)})
    return (found, ALL) if found else _by_place(listing)


def _cvat_splits(listing):
    subsets = {subset for file in listing.some(".xml") for subset in cvat.subsets(file)}
    return (_named(subsets), ALL) if _named(subsets) else _by_place(listing)


def _coco_splits(listing):
    """Splits that the annotation files or their folders are called after."""
    files = [
        file.relative_to(listing.folder).as_posix()
        for file in listing.some(".json")
        if _is_coco(file)
    ]
    found = {}
    for name, aliases in ALIASES.items():
        fitting = [file for file in files if set(aliases) & set(re.split(r"[^a-z]+", file.lower()))]
        fitting.sort(key=lambda file: ("instances" not in file, "panoptic" in file, len(file)))
        if fitting:
            found[name] = fitting[0]
    return found, found.get("train", files[0])


def _voc_splits(listing):
    """Splits of the lists of each year; `trainval` stands for `train` where that is not divided.

    `test` never validates: what picks the best weights would then have seen it."""
    years = {}
    for path in map(pathlib.Path, filter(lambda path: "ImageSets" in path, listing.paths)):
        if path.parent.parts[-2:] == ("ImageSets", "Main") or path.parent.name == "ImageSets":
            year = path.parent.parent if path.parent.name == "Main" else path.parent
            years.setdefault(year.parent.name, set()).add(path.stem)
    found = {}
    for year, lists in years.items():
        whole = "trainval" in lists and not {"train", "val"} <= lists
        for split, list_ in (
            ("train", "trainval" if whole else "train"),
            ("val", "val"),
            ("test", "test"),
        ):
            if list_ in lists:
                found.setdefault(split, []).append(list_ if len(years) == 1 else f"{year}/{list_}")
    found = {split: "+".join(names) for split, names in found.items()}
    year, lists = next(iter(years.items()))
    first = min(lists) if len(years) == 1 else f"{year}/{min(lists)}"
    return found, found.get("train", first)


_SPLITS = {
    **{name: _by_kind(it[1]) for name, it in _SIGNS.items() if isinstance(it, tuple)},
    "voc_folder": _by_kind(voc_folder.KIND),
    "icdar": _icdar_splits,
    "yolo": _yolo_splits,
    "cvat": _cvat_splits,
    "coco": _coco_splits,
    "csv": _csv_splits,
    "voc": _voc_splits,
}

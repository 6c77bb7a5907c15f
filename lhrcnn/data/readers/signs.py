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
    voc,
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


_COCO = Kind(_is_coco, (".json",))


def _devkit(listing):
    below = [os.path.relpath(path, listing.folder) for path in listing.paths]
    lists = [path for path in below if re.search(r"(^|[/\\])ImageSets[/\\].*\.txt$", path)]
    annotated = any("Annotations" in path.parts for path in listing.some(".xml"))
    is_voc = lists and annotated and not _imagenet_det(listing)
    return f"{lists[0]} beside Annotations/" if is_voc else ""


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


def _by_place(listing, files=(), folders=()):
    """Splits named by folders (these, or all), lists, and annotation files of many images."""
    words = _words(folders or listing.folders())
    words |= {word for file in files for word in (file.stem, *re.split(r"[^A-Za-z]+", file.stem))}
    words |= images_in_lists(listing.folder, ALIASES, listing.images()).keys()
    return _named(words), (ALL,)


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
    return found, tuple(found.values() or folders or ["."])


def _yolo_splits(listing):
    keys = yolo_layout.describe(listing.folder, listing.paths).splits
    return ({key: key for key in keys}, (ALL,)) if "" not in keys else _by_place(listing)


def _csv_splits(listing):
    """Splits of the files with columns of boxes alone: Open Images has others beside them."""
    files = filter(csv_files.KIND.test, listing.some(*csv_files.KIND.suffixes))
    found = _named({word for file in files for word in csv_files.split_words(file)})
    return (found, (ALL,)) if found else _by_place(listing)


def _cvat_splits(listing):
    subsets = {subset for file in listing.some(".xml") for subset in cvat.subsets(file)}
    return (_named(subsets), (ALL,)) if _named(subsets) else _by_place(listing)


def _coco_splits(listing):
    """Splits that the annotation files or their folders are called after."""
    files = [
        file.relative_to(listing.folder).as_posix()
        for file in listing.some(".json")
        if _is_coco(file)
    ]
    ranks = {file: ("instances" not in file, "panoptic" in file) for file in files}
    files.sort(key=lambda file: (ranks[file], len(file)))
    found = {}
    for name, aliases in ALIASES.items():
        fitting = [file for file in files if set(aliases) & set(re.split(r"[^a-z]+", file.lower()))]
        if fitting:
            found[name] = fitting[0]
    likeliest = [file for file in files if ranks[file] == ranks[files[0]]]
    return found, tuple(found.values() or likeliest)


def _voc_splits(listing):
    """Splits of the lists of each year; `trainval` stands for `train` where that is not divided,
    the lists of single classes (VoTT's `dog_train`) where there is none of all images.

    `test` never validates: what picks the best weights would then have seen it."""
    years, found, everything = voc.find_years(listing.folder), {}, []
    for year in years:
        lists = sorted(voc.lists_of(year))
        lead = "" if len(years) == 1 else f"{year.name}/"
        everything += [lead + name for name in lists]
        whole = "trainval" in lists and not {"train", "val"} <= set(lists)
        names = {**ALIASES, "train": ("trainval",)} if whole else ALIASES
        own = {split: [n for n in aliases if n in lists][:1] for split, aliases in names.items()}
        if not any(own.values()):
            ends = {
                split: tuple(f"_{name}" for name in aliases) for split, aliases in names.items()
            }
            own = {split: [n for n in lists if n.endswith(end)] for split, end in ends.items()}
        for split, named in own.items():
            found.setdefault(split, []).extend(lead + name for name in named)
    found = {split: "+".join(names) for split, names in found.items() if names}
    return found, ("+".join(found.values() or everything),)


def _usual(meaning, kind):
    return _first(meaning, kind), _by_kind(kind)


# Format -> (what tells it: a function of a Listing that gives the reason, or ""; one of a Listing
# that gives {train, val or test: its name in data.format} and the names that are everything).
FORMATS = {
    "coco": (_first("images, annotations and categories", _COCO), _coco_splits),
    "voc": (_devkit, _voc_splits),
    "voc_folder": (_voc_folder, _by_kind(voc_folder.KIND)),
    "imagenet_det": (_imagenet_det, _by_place),
    "icdar": (_first("corners of a word", Kind(_icdar_line, (".txt", ".gt"))), _icdar_splits),
    "yolo": (_yolo, _yolo_splits),
    "csv": (_first("columns of boxes", csv_files.KIND), _csv_splits),
    "labelme": _usual("shapes of an image", labelme.KIND),
    "cvat": (_first("<annotations> of CVAT", cvat.KIND), _cvat_splits),
    "via": _usual("regions of VIA", via.KIND),
    "label_studio": _usual("tasks of Label Studio", label_studio.KIND),
    "kitti": _usual("a class and 14 numbers", kitti.KIND),
    "wider_face": _usual("images and their faces", wider_face.KIND),
    "crowdhuman": _usual(".odgt", crowdhuman.KIND),
    "createml": _usual("a list of images with coordinates", createml.KIND),
}

# A format -> those whose signs its own files may show as well.
STRONGER = {
    "wider_face": ("yolo", "icdar"),
    "kitti": ("icdar",),
    "voc": ("yolo", "icdar"),
    "yolo": ("icdar",),
}

"""What the readers of annotation tools' files share: images, splits and sizes of what was parsed.

A reader of this sort is the `Kind` of its annotation files, and `parse(file, problems)`, which
yields a `LabelledImage` for each image in one. `gather` does the rest; `reader` is that as a
function, where nothing has to be known beforehand.
"""

import os
import pathlib
import posixpath
import re
import typing
from concurrent.futures import ThreadPoolExecutor

from lhrcnn.data.formats import IMAGE_SUFFIXES
from lhrcnn.data.headers import image_size
from lhrcnn.data.readers import lookup
from lhrcnn.data.readers.lookup import ImageIndex, listed
from lhrcnn.data.readers.records import image_problem, make_dataset
from lhrcnn.data.schema import Problem
from lhrcnn.errors import DataError

ALL = "*"  # the split that is every image
# What a split is called by one tool or another.
ALIASES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}


class Kind(typing.NamedTuple):
    """The annotation files of a format."""

    test: typing.Callable  # whether a file with one of the suffixes is one, by its head
    suffixes: tuple
    many: bool = True  # a file holds more than one image, so its own name may be a split's

    def files(self, folder):
        """Those below a folder.

        Where each is of one image, those like them that hold something else belong to them: files
        with their suffix, in a folder of theirs, called after an image."""
        files = [file for file in listed(folder, *self.suffixes) if self.test(file)]
        if self.many or not files:
            return files
        kinds = {(file.parent, file.suffix) for file in files}
        images = {lookup.stem(str(file)) for file in listed(folder, *IMAGE_SUFFIXES)}
        alike = [
            file
            for file in listed(folder, *self.suffixes)
            if (file.parent, file.suffix) in kinds and file.stem in images
        ]
        return sorted({*files, *alike})


def gather(data_config, split, kind, parse, class_names=None, ignored=None, hint="", files=None):
    """The `Dataset` of a split of annotation files; see `lhrcnn.data.readers` for the contract.

    class_names: None for the sorted names of all splits; ignored: the name of what is of no class;
    hint: what to do without an annotation file; files: those of the kind, where they are known.
    Raises DataError where there is none, or no such split."""
    folder, problems = lookup.data_folder(data_config.dir), []
    files = kind.files(folder) if files is None else files
    if not files:
        there = [str(path.relative_to(folder)) for path in listed(folder)]
        raise DataError(
            f"{folder}: no annotation file of data.format={data_config.format} in its {len(there)} "
            f"files ({', '.join(there[:10])}){hint}"
        )
    found = [image for file in files for image in _parsed(file, parse, problems)]
    names = class_names or sorted({box.name for image in found for box in image.boxes} - {ignored})
    for image in found if ignored else ():
        image.boxes = [
            box._replace(name=names[0]) if box.name == ignored else box
            for box in image.boxes
            if names or box.name != ignored
        ]
    index = ImageIndex(folder, data_config.image_dir)
    for image in found:
        image.path = index.find(image, image.problems)
    chosen = _first_of_each(choose_split(folder, split, found, kind.many, problems))
    problems.extend(problem for image in chosen for problem in image.problems)
    problems.extend(_unnamed(index, found, chosen))
    images = with_sizes(chosen, problems)
    return make_dataset(f"{folder} {split}".strip(), images, problems, names)


def reader(kind, parse, ignored=None):
    """`read(data_config, split, training=False)` as of `lhrcnn.data.readers`, by `gather`."""

    def read(data_config, split, training=False):
        return gather(data_config, split, kind, parse, ignored=ignored)

    return read


def _parsed(file, parse, problems):
    """The images of a file, each with the problems found in it; the rest goes to problems."""
    own = []
    for image in parse(file, own):
        image.problems.extend(own)
        own.clear()
        yield image
    problems.extend(own)


def _first_of_each(images):
    """The images without those that an earlier file has already."""
    first = {}
    for image in images:
        if image.path and first.setdefault(image.path, image) is not image:
            text = f"{image.where} has {image.path} too; left out"
            first[image.path].problems.append(Problem.warning("repeated image", text))
    return [image for image in images if first.get(image.path, image) is image]


def _unnamed(index, images, chosen):
    """A note for each image that lies among those of the chosen, and is in no annotation file."""
    taken = {image.path for image in images}
    folders = {os.path.dirname(image.path) for image in chosen if image.path}
    for path in index.paths:
        if path not in taken and os.path.dirname(path) in folders:
            text = f"{path}: no annotation file names this image; left out"
            yield Problem.note("image without annotations", text)


class NoSplits(DataError):
    """A data set has no splits at all, and one is asked for."""


def choose_split(folder, split, images, many, problems):
    """Those of the images that belong to a split, by the file, a folder or a list."""
    if split in ("", ALL):
        return images
    paths = [image.path for image in images if image.path]
    in_lists = images_in_lists(folder, dict.fromkeys([split, *ALIASES]), paths)
    if split in in_lists:
        named = {key: set().union(*lines.values()) for key, lines in in_lists.items()}
        in_any = set().union(*named.values())
        problems.extend(_faults_of_lists(folder, in_lists[split], paths, in_any))
        return [image for image in images if image.path in named[split]]
    tags = [_tags(folder, image, many) for image in images]
    wanted = set(ALIASES.get(split, (split,)))
    chosen = [image for image, tag in zip(images, tags) if wanted & tag]
    if chosen:
        return chosen
    known = sorted({name for names in ALIASES.values() for name in names} & set().union(*tags))
    error = DataError if known else NoSplits
    raise error(
        f"{folder}: no image of split '{split}': no folder, file or list of that name; "
        f"splits found: {', '.join(known) or 'none'}. Name one of them, or '{ALL}' for all "
        f"{len(images)} images"
    )


def _tags(folder, image, many):
    """Words that may name the split of an image."""
    if image.split:
        return {image.split, image.split.lower()}
    source, words = image.source, []
    for path in filter(None, (source, image.path)):
        words += pathlib.Path(os.path.relpath(path, folder)).parts[:-1]
    if many:
        words += [source.name, source.stem, *re.split(r"[^A-Za-z]+", source.stem)]
    return {*words, *(word.lower() for word in words)}


def images_in_lists(folder, splits, paths):
    """{split: {(list, number of the line, line): its images}} of the splits that lists such as
    train.txt name some of these image paths for.

    A list that names none is left out: `train.txt` may be the label file of `train.jpg`."""
    found, called = {}, {}
    for split in splits:
        for file in _lists(folder, split):
            called = called or _called(paths)
            images = {
                (file, *line): _named_by(line[1], called, folder) for line in lookup.lines(file)
            }
            if any(images.values()):
                found[split] = images
                break
    return found


def _lists(folder, split):
    """The files of a folder that may be lists of a split, likeliest first."""
    for name in ALIASES.get(split, (split,)):
        for file in (name, f"{name}.txt", f"ImageSets/{name}.txt", f"ImageSets/Main/{name}.txt"):
            if file.endswith(".txt") and (folder / file).is_file():
                yield folder / file


def _called(paths):
    """{name of an image, with and without suffix: its paths}."""
    called = {}
    for path in paths:
        called.setdefault(os.path.basename(path), []).append(path)
        called.setdefault(lookup.stem(path), []).append(path)
    return called


def _faults_of_lists(folder, lines, paths, in_any):
    """A warning for each of a list's `lines` that names no image, and a note for each image that is
    none of those `in_any` list."""
    for (file, number, line), named in lines.items():
        if not named:
            text = f"{file}: line {number}: no annotated image '{line}' in {folder}; left out"
            yield Problem.warning("image of a list not found", text)
    for path in dict.fromkeys(paths):
        if path not in in_any:
            text = f"{path}: in no list of a split ({folder}/train.txt ...); left out"
            yield Problem.note("image in no list", text)


def _named_by(line, called, folder):
    """The image paths that a line of a list means: a name or a path, maybe of another machine, with
    or without suffix; of images that are called alike those that share most of its folders."""
    words = posixpath.normpath(line.replace("\\", "/")).split("/")
    found = called.get(words[-1]) or called.get(lookup.stem(words[-1])) or ()

    def shared(path):
        own = pathlib.Path(os.path.relpath(path, folder)).parts
        # the empty word tells a path that is the whole line from one that only ends in it
        return len(os.path.commonprefix([[*each[-2::-1], ""] for each in (own, words)]))

    most = max(map(shared, found), default=0) if len(found) > 1 else 0
    return [path for path in found if not most or shared(path) == most]


def with_sizes(images, problems):
    """Those of the images that have a file and a size, which their headers tell where annotations
    do not; their boxes become px."""
    images = [image for image in images if image.path]
    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(lambda image: image.size or _size(image.path), images))
    for image, size in zip(images, sizes):
        if isinstance(size, DataError):
            problems.append(image_problem(image.path, f"{image.where}: {size}; left out"))
            continue
        image.size = size
        if image.relative:
            image.boxes, image.relative = [_scaled(box, size) for box in image.boxes], False
    return [image for image in images if image.size]


def _size(path):
    try:
        return image_size(path)
    except DataError as error:
        return error


def _scaled(labelled, size):
    height, width = size
    ymin, xmin, ymax, xmax = labelled.box
    return labelled._replace(box=(ymin * height, xmin * width, ymax * height, xmax * width))

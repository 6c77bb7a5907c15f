"""Reader of CSV files, a line per box: Open Images', keras-retinanet's, TensorFlow's tutorials' ...

Columns are found by their names, or named in data.csv_columns: `image=file`, `xmin=left`, ...
"""

import re

from lhrcnn.data.formats import IMAGE_SUFFIXES
from lhrcnn.data.readers import gathering, lookup, parsing
from lhrcnn.data.readers.gathering import ALIASES, Kind
from lhrcnn.data.readers.parsing import named, numbers
from lhrcnn.data.readers.records import LabelledImage
from lhrcnn.data.schema import Problem
from lhrcnn.errors import DataError

# What a column is for -> what it is called, in lower case without `_`, blanks and points.
COLUMNS = {
    "image": "filename image imageid imagename imagepath path file img imgid imageidentifier "
    "imgpath filepath externalid",
    "class": "class label labelname classname name category categoryname classid",
    "xmin": "xmin x1 left bboxxmin xtl",
    "ymin": "ymin y1 top bboxymin ytl",
    "xmax": "xmax x2 right bboxxmax xbr",
    "ymax": "ymax y2 bottom bboxymax ybr",
    "x": "x bboxx xleft",
    "y": "y bboxy ytop",
    "w": "w bboxwidth bboxw boxwidth",
    "h": "h bboxheight bboxh boxheight",
    "bbox": "bbox boundingbox box",
    "width": "width imagewidth imgwidth imgw",
    "height": "height imageheight imgheight imgh",
    "ignore": "isgroupof isgroup ignore difficult iscrowd",
    "split": "split subset set",
}
# What columns without names are for: keras-retinanet's, SKU-110K's, makesense.ai's, AutoML's.
_RETINANET = ("image", "xmin", "ymin", "xmax", "ymax", "class")
_SKU110K = (*_RETINANET, "width", "height")
_MAKESENSE = ("class", "x", "y", "w", "h", "image", "width", "height")
_AUTOML = ("split", "image", "class", "xmin", "ymin", "", "", "xmax", "ymax", "", "")
_NOTHING = {"", "nan", "none", "null", "na", "n/a"}  # what tables write into empty cells
_CLASSLESS = "object"
_UNASSIGNED = "unassigned"  # AutoML's word for what it divides itself
_SPLITS = {_UNASSIGNED, *(word for words in ALIASES.values() for word in words)}


def read(data_config, split, training=False):
    """The `Dataset` of a split: files of that name (`train.csv`, `train_labels.csv`,
    `train/_annotations.csv`), or a column `split`.

    Coordinates are half-open px as they stand, or shares of the image where none is above 1. A line
    with an image alone is an image without objects. Raises DataError."""
    mapping = parse_mapping(data_config.csv_columns)
    folder = lookup.data_folder(data_config.dir)
    titles = _titles(folder)

    def parse(file, problems):
        return _parse(file, problems, mapping, titles)

    hint = "; name columns of boxes in data.csv_columns: image=photo, class=kind, xmin=left, ..."
    return gathering.gather(data_config, split, _kind(mapping), parse, hint=hint)


def _kind(mapping=()):
    return Kind(lambda file: columns_of(file, mapping) is not None, (".csv", ".tsv"))


KIND = _kind()


def parse_mapping(texts):
    """{what a column is for: its name} of data.csv_columns. Raises DataError."""
    mapping = dict(text.partition("=")[::2] for text in texts)
    for role, column in mapping.items():
        if role not in COLUMNS or not column:
            raise DataError(
                f"data.csv_columns: '{role}={column}': expected ROLE=COLUMN, ROLE one of "
                f"{', '.join(COLUMNS)}"
            )
    return mapping


def split_words(file):
    """Words of a file's name and folder, and of its column of splits, that may name splits."""
    words = {file.parent.name, file.stem, *re.split(r"[^A-Za-z]+", file.stem)}
    places, has_names = columns_of(file)
    if "split" in places:
        cells = [
            row[places["split"]] for row in lookup.read_csv(file) if len(row) > places["split"]
        ]
        words.update(cells[has_names:])
    return words


def columns_of(file, mapping=()):
    """({what a column is for: its position}, whether there is a line of names); None: no boxes."""
    first = lookup.head_of_csv(file)
    mapping = dict(mapping)
    names = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in first]
    places = {}
    for role, known in COLUMNS.items():
        own = [re.sub(r"[^a-z0-9]", "", mapping[role].lower())] if role in mapping else []
        place = next((names.index(name) for name in own or known.split() if name in names), None)
        if place is not None:
            places[role] = place
    if {"x", "y", "width", "height"} <= set(places) and not {"xmin", "w"} & set(places):
        places["w"], places["h"] = places.pop("width"), places.pop("height")
    if "image" in places and any(set(keys) <= set(places) for keys in _BOXES):
        return places, True
    for roles in (_RETINANET, _SKU110K, _MAKESENSE, _AUTOML):
        if _fits(first, roles):
            return {role: place for place, role in enumerate(roles) if role}, False
    return None


def _fits(row, roles):
    """Whether a row without names is of these columns; one without objects has the image alone."""
    if len(row) != len(roles):
        return False
    cells = [cell for cell, role in zip(row, roles) if role.startswith(("x", "y"))]
    image = row[roles.index("image")].lower()
    split_fits = "split" not in roles or row[0].lower() in _SPLITS
    return (
        split_fits
        and image.endswith(IMAGE_SUFFIXES)
        and (not any(cells) or all(map(parsing.is_number, cells)))
    )


def _titles(folder):
    """{class id: its title} of Open Images' list of class descriptions below a folder."""
    titles = {}
    for file in lookup.listed(folder, ".csv"):
        if re.match(r"(LabelName,DisplayName\s+)?/[mg]/\w+,", lookup.head(file, 64)):
            titles.update((row[0], row[1]) for row in lookup.read_csv(file) if len(row) == 2)
    return titles


def _parse(file, problems, mapping, titles):
    places, has_names = columns_of(file, mapping)
    images, sizes, splits, largest = {}, {}, {}, 0.0
    if "class" not in places:
        text = (
            f"{file}: no class among its columns {', '.join(lookup.head_of_csv(file))}: each box "
            f"is an '{_CLASSLESS}'; data.csv_columns=[class=NAME] names one"
        )
        problems.append(Problem.note("no column of classes", text))
    for number, row in enumerate(lookup.read_csv(file), start=1):
        if not any(row) or (has_names and number == 1):
            continue
        cells = {role: row[place].strip() for role, place in places.items() if place < len(row)}
        name, where = cells.get("image", ""), f"{file}: line {number}"
        boxes = images.setdefault(name, [])
        splits[name] = cells.get("split", "")
        if cells.get("width") and cells.get("height"):
            sizes[name] = parsing.size_of(cells["height"], cells["width"])
        try:
            box = _box(cells)
        except ValueError as error:
            text = f"{where}: {error}; left out"
            problems.append(Problem.error("bad line", text))
            continue
        if box is not None:
            largest = max(largest, *box)
            label = cells.get("class") or _CLASSLESS
            ignore = parsing.is_true(cells.get("ignore", ""))
            boxes.append(named(titles.get(label, label), box, ignore))
    for name, boxes in images.items():
        split = "train" if splits[name].lower() == _UNASSIGNED else splits[name]
        about = {"size": sizes.get(name, ()), "relative": largest <= 1, "split": split}
        yield LabelledImage((name,), file, f"{file}: {name}", boxes=boxes, **about)


def _box(cells):
    """(ymin, xmin, ymax, xmax) of a row; None where it has no coordinates. Raises ValueError."""
    for keys in _BOXES:
        if not set(keys) <= set(cells):
            continue
        values = [cells[key] for key in keys]
        if {value.lower() for value in values} <= _NOTHING:
            return None
        if keys == ("bbox",):
            values = [value for value in re.split(r"[\s,;]+", values[0].strip("[]() ")) if value]
            if len(values) != 4:
                raise ValueError(f"bbox is '{cells['bbox']}', expected x, y, width, height")
            keys = ("x", "y", "w", "h")
        first, second, third, fourth = numbers(values)
        if keys[2] == "w":
            return second, first, second + fourth, first + third
        return second, first, fourth, third
    raise ValueError("too few columns for a box")


_BOXES = (("xmin", "ymin", "xmax", "ymax"), ("x", "y", "w", "h"), ("bbox",))

"""Reader of Label Studio's exports `JSON` and `JSON-MIN`.

Values are percent of the image's width and height; a rectangle is turned about its top left corner,
clockwise in px, not in percent. Polygons, ellipses and turned rectangles give their enclosing
boxes. Of several annotations of a task the first that was not cancelled counts, or the one marked
as ground truth; a task may have several images.
"""

import math
import os
import re

from lhrcnn.data.formats import IMAGE_SUFFIXES
from lhrcnn.data.readers import gathering, lookup
from lhrcnn.data.readers.gathering import Kind
from lhrcnn.data.readers.parsing import corners, faults_to, fields, named, numbers, turned_ellipse
from lhrcnn.data.readers.records import LabelledImage
from lhrcnn.data.schema import Problem

_KINDS = ("rectangle", "polygon", "ellipse")  # of `_BOXES`
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")  # what an upload puts before a file's name


def _is_label_studio(file):
    head = lookup.head(file).lstrip()
    return head.startswith("[") and (
        '"original_width"' in head
        or ('"data"' in head and ('"annotations"' in head or '"completions"' in head))
    )


KIND = Kind(_is_label_studio, (".json",))


def _parse(file, problems):
    tasks = lookup.read_json(file)
    for number, task in enumerate(tasks, start=1):
        known = task.get("id", number) if isinstance(task, dict) else number
        where = f"{file}: task {known}"
        with faults_to(problems, f"{where}: not a task of Label Studio's", "bad task"):
            images = _images(task, where, problems)
            found = [_objects(results or (), where, problems) for _, results in images]
            one = len(images) == 1 and isinstance(task.get("id"), int)
            for (url, results), (size, objects) in zip(images, found):
                if results is None:
                    text = f"{where}: nobody has annotated {url}; left out"
                    problems.append(Problem.note("task without annotations", text))
                    continue
                name = os.path.basename(lookup.local_name(url))
                names = tuple(dict.fromkeys((url, name, _UPLOAD.sub("", name))))
                source_id = task["id"] if one else None
                yield LabelledImage(
                    names, file, where, size, objects, relative=True, source_id=source_id
                )


def _images(task, where, problems):
    """[(URL, list of its results; None: not annotated)] of a task of either export."""
    if "data" not in task:  # JSON-MIN: the results stand under the name of their tag
        lists = [value for value in task.values() if isinstance(value, list)]
        entries = [entry for entries in lists for entry in entries if isinstance(entry, dict)]
        return _shared(
            _urls(task), [_from_min(entry) for entry in entries if "original_width" in entry]
        )
    urls = _urls(task["data"])
    made = task.get("annotations") or task.get("completions") or []
    kept = [annotation for annotation in made if not annotation.get("was_cancelled")]
    kept.sort(key=lambda annotation: not annotation.get("ground_truth"))
    if len(kept) > 1:
        text = f"{where}: {len(kept)} annotations; id {kept[0].get('id')} is taken"
        problems.append(Problem.note("several annotations of an image", text))
    if not kept:
        return [(url, None) for url in urls]
    results = kept[0]["result"]
    tags = {str(result.get("to_name")) for result in results if _kind(result) in _KINDS}
    if (
        len(tags) > 1
        and sum(isinstance(v, str) and _is_image(v) for v in task["data"].values()) > 1
    ):
        raise ValueError(
            f"its boxes are on {', '.join(sorted(tags))}, and nothing in the file says which image "
            "each of these is; export tasks of one image"
        )
    return _shared(urls, results)


def _urls(values):
    """The images of a task of these {field: value}: those of `image`, else of the first field that
    has any; more than one where the field is a list (valueList)."""
    if values.get("image") and isinstance(values["image"], str):
        return [values["image"]]
    for value in (values.get("image"), *values.values()):
        urls = value if isinstance(value, list) else [value]
        if urls and all(isinstance(url, str) and _is_image(url) for url in urls):
            return urls
    raise ValueError("no image among its data")


def _shared(urls, results):
    """[(URL, results)]: of several images, each result names its own by `item_index`, from 0."""
    if len(urls) == 1:
        return [(urls[0], results)]
    own = [[] for _ in urls]
    for result in results:
        index = result.get("item_index")
        if isinstance(index, int) and 0 <= index < len(urls):
            own[index].append(result)
        elif _kind(result) in _KINDS:
            raise ValueError(
                f"item_index {index} of a box does not say which of its {len(urls)} images it is on"
                "; read the export JSON"
            )
    return list(zip(urls, own))


def _kind(result):
    return str(result.get("type")).replace("labels", "")


def _from_min(entry):
    kind = next((kind for kind in _KINDS if f"{kind}labels" in entry), "other")
    return {
        "type": f"{kind}labels",
        "value": entry,
        "original_width": entry["original_width"],
        "original_height": entry["original_height"],
    }


def _is_image(value):
    return lookup.local_name(value).lower().endswith(IMAGE_SUFFIXES)


def _size(result):
    size = int(result["original_height"]), int(result["original_width"])
    if min(size) < 1:
        raise ValueError(f"original size {size}")
    return size


def _objects(results, where, problems):
    """((height, width) px of an image where its results agree on one, `LabelledBox`es as shares)
    of its results."""
    sizes = {_size(result) for result in results if result.get("original_width")}
    size = sizes.pop() if len(sizes) == 1 else ()
    labels, boxes = {}, []
    # A <Rectangle> with <Labels> or <Choices> has its class in a second result.
    for result in results:
        for key in ("labels", "choices"):
            if result.get("type") == key and result.get("id"):
                labels.setdefault(result["id"], result["value"].get(key))
    for result in results:
        value, type_, kind = result.get("value") or {}, str(result.get("type")), _kind(result)
        names = value.get(f"{kind}labels") or labels.get(result.get("id")) or []
        if kind not in _KINDS or not names:
            if type_ not in ("labels", "choices"):
                text = f"{where}: a result '{type_}' without a box or a class; left out"
                problems.append(Problem.warning("result without a box", text))
            continue
        if result.get("image_rotation"):
            text = f"{where}: image turned by {result['image_rotation']} degrees in Label Studio"
            problems.append(Problem.warning("image turned by the tool", text))
        # Turning is done in px, so that it needs a size; results imported from elsewhere have none.
        height, width = _size(result) if result.get("original_width") else size or (1, 1)
        if value.get("rotation"):
            turn = f"{kind} of '{names[0]}' turned by {value['rotation']:g} degrees"
            text = f"{where}: {turn}; its enclosing box is taken"
            problems.append(Problem.note("turned box", text))
        box = _BOXES[kind](value, height / 100, width / 100)
        shares = tuple(px / side for px, side in zip(box, (height, width) * 2))
        boxes.append(named(names[0], shares))
    return size, boxes


def _rectangle(value, vertical, horizontal):
    x, y, width, height = fields(value, "x", "y", "width", "height")
    x, y, width, height = x * horizontal, y * vertical, width * horizontal, height * vertical
    angle = math.radians(float(value.get("rotation") or 0))
    cosine, sine = math.cos(angle), math.sin(angle)
    offsets = ((0, 0), (width, 0), (0, height), (width, height))
    return corners([(x + a * cosine - b * sine, y + a * sine + b * cosine) for a, b in offsets])


def _polygon(value, vertical, horizontal):
    return corners([(x * horizontal, y * vertical) for x, y in map(numbers, value["points"])])


def _ellipse(value, vertical, horizontal):
    x, y, radius_x, radius_y = fields(value, "x", "y", "radiusX", "radiusY")
    center, degrees = (y * vertical, x * horizontal), float(value.get("rotation") or 0)
    return turned_ellipse(center, radius_y * vertical, radius_x * horizontal, degrees)


_BOXES = {"rectangle": _rectangle, "polygon": _polygon, "ellipse": _ellipse}


read = gathering.reader(KIND, _parse)

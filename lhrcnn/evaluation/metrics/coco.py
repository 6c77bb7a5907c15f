"""COCO's average precision and recall, counted by faster-coco-eval or pycocotools; never re-implemented here.

Truth is a dict as in COCO's `instances_*.json` (images, annotations, categories), results a list as in its result files.
"""

import contextlib
import io
import json
import math
import numbers
import pathlib

import numpy as np

from lhrcnn.data.schema import Dataset, Record
from lhrcnn.errors import ConfigError, DataError

STATISTICS = (
    "AP",
    "AP50",
    "AP75",
    "APs",
    "APm",
    "APl",
    "AR1",
    "AR10",
    "AR100",
    "ARs",
    "ARm",
    "ARl",
)


def coco_metrics(dataset, detections, options):
    """{"AP": ..., a number for each of STATISTICS, "per_class": {class name: AP}}, all in 0...1.

    An entry of `METRICS`. NaN stands where COCO prints -1: there is nothing to find.
    options.backend says which library counts; all give the same numbers."""
    return count(truth_of(dataset), detections.to_coco(dataset), options.backend)


def count(truth, results, backend):
    """`coco_metrics` of COCO's own format."""
    if backend == "fast":
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as COCOeval
    elif backend == "reference":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    else:
        raise ConfigError(
            f"backend: found {backend!r}, allowed: fast (faster-coco-eval), reference (pycocotools)"
        )
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(
            _indexed(COCO, truth, truth["annotations"]),
            _indexed(COCO, truth, _with_areas(results)),
            "bbox",
        )
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    statistics = [float(value) if value > -1 else math.nan for value in evaluation.stats[:12]]
    return {
        **dict(zip(STATISTICS, statistics)),
        "per_class": _per_class(evaluation, truth["categories"]),
    }


def truth_of(dataset):
    """The COCO truth of a `Dataset`: its images, its category ids, and `iscrowd` where a box is to be ignored."""
    annotations = []
    for record in dataset.records:
        ymin, xmin, ymax, xmax = np.asarray(record.boxes, np.float64).reshape(-1, 4).T
        # Gives back the decimals of a file: an IoU may lie exactly on a threshold.
        decimals = 3 if np.asarray(record.boxes).dtype == np.float32 else 9
        boxes = np.round(np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=1), decimals)
        for box, k, ignore, area in zip(
            boxes.tolist(), record.classes, record.ignore, record.areas
        ):
            annotations.append(
                {
                    "image_id": record.image_id,
                    "category_id": dataset.category_ids[k],
                    "area": float(area),
                    "bbox": box,
                    "iscrowd": int(ignore),
                }
            )
    return {
        "images": [
            {"id": r.image_id, "file_name": r.path, "height": r.height, "width": r.width}
            for r in dataset.records
        ],
        "categories": [
            {"id": i, "name": name} for i, name in zip(dataset.category_ids, dataset.class_names)
        ],
        "annotations": annotations,
    }


def dataset_of(truth, name=""):
    """The `Dataset` of a COCO truth as `read_truth` returns it; images need not exist. Crowd boxes become `ignore`."""
    class_of = {category["id"]: k for k, category in enumerate(truth["categories"])}
    of_image = {image["id"]: [] for image in truth["images"]}
    for annotation in truth["annotations"]:
        of_image[annotation["image_id"]].append(annotation)
    records = []
    for image in truth["images"]:
        objects = of_image[image["id"]]
        x, y, width, height = np.asarray([o["bbox"] for o in objects], np.float64).reshape(-1, 4).T
        records.append(
            Record(
                image["id"],
                str(image.get("file_name", "")),
                int(image.get("height", 0)),
                int(image.get("width", 0)),
                boxes=np.stack(
                    [y, x, y + height, x + width], axis=1
                ),  # float64, as exact as the file
                classes=np.asarray([class_of[o["category_id"]] for o in objects], np.int32),
                ignore=np.asarray([bool(o["iscrowd"]) for o in objects], bool),
                areas=np.asarray([o["area"] for o in objects], np.float64),
            )
        )
    return Dataset(
        name, records, [category["name"] for category in truth["categories"]], list(class_of)
    )


def read_truth(path):
    """The checked COCO truth of an annotations file; missing `area` and `iscrowd` are filled in.

    Raises FileNotFoundError, or DataError naming file, entry and what is allowed."""
    truth = _read_json(path)
    for key in ("images", "annotations", "categories"):
        if not isinstance(truth, dict) or not isinstance(truth.get(key), list):
            raise DataError(
                f"{path}: no list '{key}' at the top; expected COCO annotations with images, annotations and categories"
            )
    image_ids, category_ids = (
        _ids(truth["images"], f"{path}: images"),
        _ids(truth["categories"], f"{path}: categories"),
    )
    annotations = []
    for index, annotation in enumerate(truth["annotations"]):
        _check_entry(annotation, f"{path}: annotations[{index}]", image_ids, category_ids)
        _, _, width, height = annotation["bbox"]
        annotations.append(
            {
                "image_id": annotation["image_id"],
                "category_id": annotation["category_id"],
                "bbox": annotation["bbox"],
                "area": annotation.get("area", width * height),
                "iscrowd": annotation.get("iscrowd", 0),
            }
        )
    return {
        "images": truth["images"],
        "categories": truth["categories"],
        "annotations": annotations,
    }


def read_results(path, truth):
    """The checked list of a COCO result file, made for the images and categories of `truth`.

    Raises FileNotFoundError, or DataError naming file, entry, what was found and what to do."""
    results = _read_json(path)
    if not isinstance(results, list):
        hint = (
            "; this looks like annotations, give them as --annotations"
            if isinstance(results, dict) and "images" in results
            else ""
        )
        raise DataError(
            f"{path}: expected a list of detections at the top, found a {type(results).__name__}{hint}"
        )
    image_ids = {image["id"] for image in truth["images"]}
    category_ids = {category["id"] for category in truth["categories"]}
    for index, result in enumerate(results):
        _check_entry(result, f"{path}: entry {index}", image_ids, category_ids)
        if not _is_number(result.get("score")):
            raise DataError(
                f"{path}: entry {index}: 'score' is {result.get('score')!r}; expected a finite number"
            )
    return results


def _read_json(path):
    try:
        return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except ValueError as error:
        raise DataError(f"{path}: not readable as JSON: {error}") from None


def _ids(entries, where):
    """The set of `id`s of images or categories."""
    found = set()
    for index, entry in enumerate(entries):
        identity = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(identity, int) or identity in found:
            raise DataError(
                f"{where}[{index}]: 'id' is {identity!r}; expected a whole number that no other entry has"
            )
        if where.endswith("categories") and not isinstance(entry.get("name"), str):
            raise DataError(
                f"{where}[{index}]: 'name' is {entry.get('name')!r}; expected the class's name"
            )
        found.add(identity)
    if not found:
        raise DataError(f"{where}: the list is empty; there is nothing to score against")
    return found


def _check_entry(entry, where, image_ids, category_ids):
    if not isinstance(entry, dict):
        raise DataError(
            f"{where}: found {entry!r}; expected an object with image_id, category_id and bbox"
        )
    for key, known, of_what in (
        ("image_id", image_ids, "images"),
        ("category_id", category_ids, "categories"),
    ):
        if not isinstance(entry.get(key), int) or entry[key] not in known:
            raise DataError(
                f"{where}: '{key}' is {entry.get(key)!r}, not among the {len(known)} {of_what} of the annotations "
                f"({_few(known)}); detections and annotations must be of the same data set and split"
            )
    box = entry.get("bbox")
    if not (
        isinstance(box, list) and len(box) == 4 and all(map(_is_number, box)) and min(box[2:]) >= 0
    ):
        raise DataError(
            f"{where}: 'bbox' is {box!r}; expected [x, y, width, height] in px, finite, sides not negative"
        )


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _few(values):
    listed = ", ".join(map(str, sorted(values)[:4]))
    return listed + (", ..." if len(values) > 4 else "")


def _with_areas(results):
    return [
        {
            "image_id": r["image_id"],
            "category_id": r["category_id"],
            "bbox": r["bbox"],
            "score": r["score"],
            "area": r["bbox"][2] * r["bbox"][3],
            "iscrowd": 0,
        }
        for r in results
    ]


def _indexed(coco_class, truth, annotations):
    """The backend's index; ids count from 1 because both backends take an object with id 0 for unmatched."""
    coco = coco_class()
    coco.dataset = {
        "images": truth["images"],
        "categories": truth["categories"],
        "annotations": [
            {**annotation, "id": number} for number, annotation in enumerate(annotations, start=1)
        ],
    }
    coco.createIndex()
    return coco


def _per_class(evaluation, categories):
    """AP at IoU 0.50:0.95 of each class, NaN without truth; a name that two categories share gets its id added."""
    precision = np.asarray(evaluation.eval["precision"])[
        :, :, :, 0, -1
    ]  # IoUs, recalls, classes; all areas, 100 detections
    order = {category_id: k for k, category_id in enumerate(evaluation.params.catIds)}
    names = [category["name"] for category in categories]
    per_class = {}
    for category in categories:
        values = precision[:, :, order[category["id"]]]
        name = (
            category["name"]
            if names.count(category["name"]) == 1
            else f"{category['name']} ({category['id']})"
        )
        per_class[name] = float(values[values > -1].mean()) if (values > -1).any() else math.nan
    return per_class

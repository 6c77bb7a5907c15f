"""Detections of many images as columns.

Shape letters: D detections over all images, K foreground classes.
"""

import dataclasses

import numpy as np

from lhrcnn.data.faults import size_fault
from lhrcnn.errors import DataError


@dataclasses.dataclass
class Detections:
    """D scored boxes; an image without any does not occur."""

    image_ids: np.ndarray  # [D] int64
    boxes: np.ndarray  # [D, 4] (ymin, xmin, ymax, xmax), half-open, px of the image on disk
    scores: np.ndarray  # [D]
    classes: np.ndarray  # [D] int32, 0...K-1

    def __len__(self):
        return len(self.image_ids)

    def sides(self):
        """float64 [D, 4] (x, y, width, height) of the boxes, px."""
        sides = to_sides(self.boxes)
        # Boxes that were read from a file get its decimals back: an IoU may lie on a threshold.
        return sides.round(9) if self.boxes.dtype == np.float64 else sides

    def to_coco(self, dataset):
        """COCO's result format: {"image_id", "category_id", "bbox", "score"} of each detection.

        Ids are those of the user's files, "bbox" is [x, y, width, height] px."""
        shown = {record.image_id: record.shown_id for record in dataset.records}
        columns = self.image_ids, self.classes, self.sides(), self.scores
        return [
            {
                "image_id": shown[image_id],
                "category_id": dataset.category_ids[k],
                "bbox": box,
                "score": score,
            }
            for image_id, k, box, score in zip(*(column.tolist() for column in columns))
        ]


def to_sides(boxes):
    """float64 [n, 4] (x, y, width, height) of boxes [n, 4] (ymin, xmin, ymax, xmax)."""
    ymin, xmin, ymax, xmax = np.asarray(boxes, np.float64).reshape(-1, 4).T
    return np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=1)


def of_image(image_id, boxes, scores, classes):
    """The `Detections` in one image, of arrays or lists."""
    return Detections(
        np.full(len(scores), image_id, np.int64),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(classes, np.int32),
    )


def empty():
    """Detections of nothing."""
    return of_image(0, [], [], [])


def concatenate(parts):
    """One `Detections` of a list of them."""
    columns = zip(*(vars(part).values() for part in [empty(), *parts]))
    return Detections(*map(np.concatenate, columns))


def from_results(dataset, results):
    """The `Detections` in the images of a `Dataset`, of results in its order: a dict for each, as
    `Prediction.to_json` has it, or with "error".

    Raises DataError naming images that could not be used."""
    parts, errors = [], []
    for record, one in zip(dataset.records, results):
        if "error" in one:
            errors.append(f"{one['error']} (image id {record.shown_id})")
        elif fault := size_fault(record, one["height"], one["width"]):
            errors.append(fault)
        else:
            columns = ([box[key] for box in one["detections"]] for key in ("box", "score", "class"))
            parts.append(of_image(record.image_id, *columns))
    if errors:
        raise unusable(errors)
    return concatenate(parts)


def unusable(lines):
    """The DataError about images that cannot be evaluated, a line for each."""
    more = [f"... and {len(lines) - 10} more"] if len(lines) > 10 else []
    listed = "\n  ".join(["images that cannot be evaluated:", *lines[:10], *more])
    return DataError(f"{listed}\nReplace them, or set data.on_error=skip to leave them out.")


def in_order_of(dataset, detections):
    """The `Detections` image by image as in a `Dataset`, so that equal scores rank alike however
    they were made."""
    position = {record.image_id: i for i, record in enumerate(dataset.records)}
    places = [position[image_id] for image_id in detections.image_ids.tolist()]
    order = np.argsort(places, kind="stable")
    return Detections(*(column[order] for column in vars(detections).values()))

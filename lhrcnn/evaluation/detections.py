"""Detections of many images as columns.

Shape letters: D detections over all images, K foreground classes.
"""

import dataclasses

import numpy as np

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
        columns = (
            [shown.get(image_id, image_id) for image_id in self.image_ids.tolist()],
            np.asarray(dataset.category_ids, np.int64)[self.classes].tolist(),
            self.sides().tolist(),
            self.scores.tolist(),
        )
        return [
            {"image_id": image_id, "category_id": category_id, "bbox": box, "score": score}
            for image_id, category_id, box, score in zip(*columns)
        ]


def to_sides(boxes):
    """float64 [n, 4] (x, y, width, height) of boxes [n, 4] (ymin, xmin, ymax, xmax)."""
    ymin, xmin, ymax, xmax = np.asarray(boxes, np.float64).reshape(-1, 4).T
    return np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=1)


def empty():
    """Detections of nothing."""
    return Detections(
        np.zeros([0], np.int64),
        np.zeros([0, 4], np.float32),
        np.zeros([0], np.float32),
        np.zeros([0], np.int32),
    )


def concatenate(parts):
    """One `Detections` of a list of them."""
    columns = zip(*(vars(part).values() for part in [empty(), *parts]))
    return Detections(*map(np.concatenate, columns))


def from_results(dataset, results):
    """The `Detections` in the images of a `Dataset`, of results in its order: a dict for each, as
    `Prediction.to_json` has it, or with "error".

    Raises DataError naming images that could not be used."""
    parts, errors = [empty()], []
    for record, one in zip(dataset.records, results):
        if "error" in one:
            errors.append(f"{one['error']} (image id {record.shown_id})")
            continue
        found = one["detections"]
        parts.append(
            Detections(
                np.full(len(found), record.image_id, np.int64),
                np.array([box["box"] for box in found], np.float32).reshape(-1, 4),
                np.array([box["score"] for box in found], np.float32),
                np.array([box["class"] for box in found], np.int32),
            )
        )
    if errors:
        raise DataError("\n  ".join(["images that cannot be evaluated:", *errors[:10]]))
    return concatenate(parts)


def as_rows(detections):
    """float64 [D, 7] of `Detections`: image id, box, score, class; all of them exact."""
    return np.column_stack([column.astype(np.float64) for column in vars(detections).values()])


def from_rows(rows):
    """The `Detections` that `as_rows` made float64 [D, 7] of."""
    return Detections(
        rows[:, 0].astype(np.int64),
        rows[:, 1:5].astype(np.float32),
        rows[:, 5].astype(np.float32),
        rows[:, 6].astype(np.int32),
    )


def in_order_of(dataset, detections):
    """The `Detections` image by image as in a `Dataset`, so that equal scores rank alike however
    they were made."""
    position = {record.image_id: i for i, record in enumerate(dataset.records)}
    places = [position[image_id] for image_id in detections.image_ids.tolist()]
    order = np.argsort(places, kind="stable")
    return Detections(*(column[order] for column in vars(detections).values()))

"""Detections of many images as columns.

Shape letters: D detections over all images, K foreground classes.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Detections:
    """D scored boxes; an image without any does not occur."""

    image_ids: np.ndarray  # [D] int64
    boxes: np.ndarray  # [D, 4] (ymin, xmin, ymax, xmax), half-open, px of the image on disk
    scores: np.ndarray  # [D]
    classes: np.ndarray  # [D] int32, 0...K-1

    def __len__(self):
        return len(self.image_ids)

    def to_coco(self, dataset):
        """COCO's result format: a list of {"image_id", "category_id", "bbox": [x, y, width, height], "score"}.

        Category ids are those of `dataset.category_ids`."""
        ymin, xmin, ymax, xmax = np.asarray(self.boxes, np.float64).reshape(-1, 4).T
        boxes = np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=1)
        if self.boxes.dtype == np.float64:  # read from a file: gives its decimals back
            boxes = boxes.round(9)
        columns = (
            self.image_ids.tolist(),
            np.asarray(dataset.category_ids, np.int64)[self.classes].tolist(),
            boxes.tolist(),
            self.scores.tolist(),
        )
        return [
            {"image_id": image_id, "category_id": category_id, "bbox": box, "score": score}
            for image_id, category_id, box, score in zip(*columns)
        ]


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
    columns = [
        [getattr(part, field.name) for part in [empty(), *parts]]
        for field in dataclasses.fields(Detections)
    ]
    return Detections(*(np.concatenate(column) for column in columns))


def from_coco(results, category_ids):
    """`Detections` of COCO result dicts; class k is the one whose id stands at `category_ids[k]`.

    The results must have been checked (`lhrcnn.evaluation.metrics.coco.read_results`)."""
    class_of = {category_id: k for k, category_id in enumerate(category_ids)}
    x, y, width, height = (
        np.asarray([result["bbox"] for result in results], np.float64).reshape(-1, 4).T
    )
    return Detections(
        image_ids=np.asarray([result["image_id"] for result in results], np.int64),
        boxes=np.stack([y, x, y + height, x + width], axis=1),
        scores=np.asarray([result["score"] for result in results], np.float64),
        classes=np.asarray([class_of[result["category_id"]] for result in results], np.int32),
    )


def in_order_of(dataset, detections):
    """The `Detections` image by image as in a `Dataset`, so that equal scores rank alike however they were made."""
    position = {record.image_id: i for i, record in enumerate(dataset.records)}
    order = np.argsort(
        [position[image_id] for image_id in detections.image_ids.tolist()], kind="stable"
    )
    return Detections(
        *(getattr(detections, field.name)[order] for field in dataclasses.fields(Detections))
    )

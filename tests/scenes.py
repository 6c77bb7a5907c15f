"""Images with objects, random data sets and detections on them, with crowds, ties and any ids."""

import numpy as np

from lhrcnn.data.schema import Dataset, Record
from lhrcnn.evaluation import detections

IDS = [  # of the i-th of 25 images; all fall, so that ties rank alike
    lambda i: 1000 - 7 * i,
    lambda i: 24 - i,
    lambda i: -3 - i,
    lambda i: 12 - i,
    lambda i: 2**53 + 25 - i,
    lambda i: 2**63 - 1 - i,
    lambda i: -(2**63) + 24 - i,
]


def record(boxes=(), classes=0, ignore=False, image_id=1, path="", size=(400, 400), areas=None):
    """The Record of an image; `classes` and `ignore` of each box or of all, areas: None: theirs."""
    boxes = np.asarray(boxes).reshape(-1, 4)
    boxes = boxes if boxes.dtype == np.float64 and len(boxes) else boxes.astype(np.float32)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) if areas is None else np.array(areas)
    own = [np.array(np.broadcast_to(value, len(boxes))) for value in (classes, ignore)]
    classes, ignore = own[0].astype(np.int32), own[1].astype(bool)
    path = str(path) or f"{image_id}.jpg"
    return Record(image_id, path, *size, boxes, classes, ignore, areas.astype(np.float32))


def random_dataset(rng, num_images=25, num_classes=5, ids=IDS[0]):
    """Images of 0-6 boxes, one in five a crowd, none of the last class; float32 as of readers."""
    records = []
    for i in range(num_images):
        n = rng.integers(0, 7)
        corner, size = rng.uniform(0, 200, [n, 2]), rng.uniform(8, 150, [n, 2])
        boxes = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
        classes, crowd = rng.integers(0, max(1, num_classes - 1), n), rng.uniform(size=n) < 0.2
        one = record(boxes, classes, crowd, ids(i), f"{i}.jpg", areas=size.prod(axis=1))
        records.append(one)
    names = [f"class {k}" for k in range(num_classes)]
    return Dataset("random", records, names, [9 - 3 * k for k in range(num_classes)])


def random_detections(rng, dataset, num_false=60):
    """Jittered truth, some of it twice, plus boxes anywhere, with tied scores; every third image
    has none."""
    columns = []
    for one in dataset.records[::3] + dataset.records[1::3]:
        for box, k in zip(one.boxes, one.classes):
            for _ in range(rng.integers(0, 3)):
                columns.append(
                    (one.image_id, box + rng.normal(0, 8, 4), round(rng.uniform(), 1), k)
                )
    for _ in range(num_false):
        corner = rng.uniform(0, 250, 2)
        box = [*corner, *(corner + rng.uniform(5, 100, 2))]
        columns.append(
            (dataset.records[0].image_id, box, rng.uniform(), rng.integers(0, dataset.num_classes))
        )
    ids, boxes, scores, classes = zip(*columns)
    boxes = np.asarray(boxes, np.float32)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2])
    return detections.Detections(
        np.asarray(ids, np.int64),
        boxes,
        np.asarray(scores, np.float32),
        np.asarray(classes, np.int32),
    )

r"""A metric of one's own that picks the best checkpoint, for `plugins: [examples/metric.py]`.

    lhrcnn train --set plugins=[examples/metric.py] --set eval.metrics=[coco,found] \
        --set train.best_metric=found/recall
"""

import numpy as np

from lhrcnn.data.overlaps import iou
from lhrcnn.evaluation.metrics import METRICS, Metric

IOU = 0.5


def found(dataset, detections, options):
    """{"recall": share of the objects that a detection of their class covers, whatever its score}.

    "per_class" has the same for each class; NaN where there is no object."""
    hits = [[] for _ in dataset.class_names]
    for record in dataset.records:
        of_image = detections.image_ids == record.image_id
        for box, k in zip(record.boxes[~record.ignore], record.classes[~record.ignore]):
            boxes = detections.boxes[of_image & (detections.classes == k)]
            hits[k].append(bool(len(boxes)) and iou(boxes, box[None]).max() >= IOU)
    shares = [float(np.mean(of_class)) if of_class else float("nan") for of_class in hits]
    every = [hit for of_class in hits for hit in of_class]
    return {
        "recall": float(np.mean(every)) if every else float("nan"),
        "per_class": dict(zip(dataset.class_names, shares)),
    }


METRICS["found"] = Metric(
    "objects that a detection of their class covers, at any score", found, main="recall"
)

"""COCO's average precision and recall, counted by a library: never re-implemented here."""

import math

import numpy as np

from lhrcnn.choices import resolve
from lhrcnn.errors import ConfigError
from lhrcnn.evaluation.columns import found_of, image_rows, mean_of_known, names_of, objects_of
from lhrcnn.evaluation.metrics import BACKENDS, METRICS

STATISTICS = METRICS["coco"].numbers


def coco_metrics(dataset, detections, options):
    """{"AP": ..., a number for each of STATISTICS, "per_class": {class name: AP}}, all in 0...1.

    An entry of `METRICS`. IoU 0.50:0.05:0.95, at most 1, 10 and 100 detections per image. NaN
    stands where COCO prints -1: there is nothing to find. options.backend says which of `BACKENDS`
    counts; all give the same numbers. Raises DataError for a detection of an unknown image."""
    if options.backend not in BACKENDS:
        raise ConfigError(
            f"'eval.backend': found {options.backend!r}, allowed: {', '.join(BACKENDS)}"
        )
    rows = image_rows(dataset)
    sizes = len(dataset.records), dataset.num_classes
    statistics, precision = resolve(BACKENDS[options.backend])(
        *sizes, objects_of(dataset, rows), found_of(detections, rows)
    )
    statistics = [float(value) if value > -1 else math.nan for value in statistics]
    per_class = mean_of_known(np.where(precision > -1, precision, np.nan), (0, 1))
    return {
        **dict(zip(STATISTICS, statistics)),
        "per_class": dict(zip(names_of(dataset), per_class.tolist())),
    }

"""Evaluation during training: the numbers that pick the best checkpoint, and images to look at."""

import typing

import numpy as np

from lhrcnn.data.decoding import read_image
from lhrcnn.errors import TrainingError
from lhrcnn.evaluation.analysis import curves
from lhrcnn.evaluation.analysis.matches import match
from lhrcnn.evaluation.columns import IOUS
from lhrcnn.evaluation.detect import evaluate
from lhrcnn.evaluation.metrics import main_number
from lhrcnn.evaluation.tables import format_tables
from lhrcnn.inference.visualize import contact_sheet, draw_detections

SHOWN_SCORE = 0.3  # detections below are left out of the images, where they would hide the others


class Outcome(typing.NamedTuple):
    """What a validation found."""

    main: str  # which of the numbers checkpoints are compared by; higher is better
    numbers: dict  # name -> number, for the log
    images: dict = {}  # name -> PIL image, for TensorBoard
    per_class: dict = {}  # class -> its number by the first metric, for TensorBoard
    curves: dict = {}  # class -> `curves.by_threshold`, for TensorBoard
    table: str = ""  # printed after the last step


def validate(detector, dataset, config, strategy):
    """The Outcome of a detector on a Dataset."""
    metrics, detections = evaluate(detector, dataset, config, strategy=strategy)
    drawn = images(dataset, detections, config.train.num_images)
    numbers = scalars(metrics)
    main = best_metric(numbers, metrics, config.train.best_metric)
    of_classes = next(iter(metrics.values())).get("per_class", {})
    return Outcome(
        main, numbers, drawn, of_classes, pr_curves(dataset, detections), format_tables(metrics)
    )


def pr_curves(dataset, detections):
    """{class: PR curve} of the classes that have objects."""
    matches = match(dataset, detections, IOUS[:1])
    columns = zip(matches.names, curves.columns_of(matches))
    return {name: curves.by_threshold(part) for name, part in columns if len(part.objects)}


def best_metric(numbers, metrics, chosen):
    """The name of the number that picks the best checkpoint: `chosen`, else the main one.

    Raises TrainingError where there is no such number."""
    if chosen and chosen not in numbers:
        raise TrainingError(
            f"'train.best_metric': found {chosen!r}, allowed: {', '.join(numbers)}; the checkpoint "
            "is saved: correct the option and resume"
        )
    return chosen or main_number(metrics)[0]


def scalars(metrics):
    """{"coco/AP": number, ...} of the metrics that are single numbers."""
    return {
        f"{kind}/{name}": float(value)
        for kind, values in metrics.items()
        for name, value in values.items()
        if not isinstance(value, dict)
    }


def images(dataset, detections, number):
    """{name: PIL image} of `number` images spread over the data set: what was found, beside the
    ground truth."""
    number = min(number, len(dataset.records))
    places = {int(i) for i in np.linspace(0, len(dataset.records) - 1, number)}
    chosen = [dataset.records[i] for i in sorted(places)]
    return {
        f"detections/{record.image_id}": _beside(dataset, record, detections) for record in chosen
    }


def _beside(dataset, record, detections):
    image = read_image(record.path)
    found = (detections.image_ids == record.image_id) & (detections.scores >= SHOWN_SCORE)
    names, real = dataset.class_names, ~record.ignore
    labels, true_labels = (
        [names[k] for k in classes] for classes in (detections.classes[found], record.classes[real])
    )
    drawn = draw_detections(
        image, detections.boxes[found], labels, detections.scores[found], class_names=names
    )
    truth = draw_detections(image, record.boxes[real], true_labels, class_names=names)
    captions = [f"found, score {SHOWN_SCORE} or more", "ground truth"]
    return contact_sheet([drawn, truth], columns=2, captions=captions, tile=480)

"""From detections to metrics: of a `Dataset` in memory, or of files made elsewhere."""

import pathlib

from lhrcnn.errors import ConfigError
from lhrcnn.evaluation.detections import from_coco
from lhrcnn.evaluation.metrics import coco, icdar, imagenet_det, voc

METRICS = ("coco", "voc07", "voc", "ilsvrc", "deteval", "icdar_iou")


def score(dataset, detections, metrics=("coco",), backend="fast", text_score=0.5):
    """{"coco": ..., "voc07": ..., ...} as far as named in `metrics`; see `coco_metrics`, `voc_metrics`, `ilsvrc_metrics` and
    `text_metrics` for the entries.

    `text_score` is the least score of a detection that the metrics of text count. Raises ConfigError for an unknown metric or backend."""
    _check_names(metrics)
    scored = {}
    if "coco" in metrics:
        scored["coco"] = coco.coco_metrics(
            coco.truth_of(dataset), detections.to_coco(dataset), backend
        )
    return {**scored, **_other_metrics(dataset, detections, metrics, text_score)}


def score_files(annotations, detections, metrics=("coco",), backend="fast", text_score=0.5):
    """The metrics of a COCO result file against a COCO annotations file.

    For the other metrics a crowd box counts as difficult or to be ignored. Raises FileNotFoundError, or DataError (a ValueError)
    naming file and entry."""
    _check_names(metrics)
    truth = coco.read_truth(annotations)
    results = coco.read_results(detections, truth)
    scored = {}
    if "coco" in metrics:
        scored["coco"] = coco.coco_metrics(truth, results, backend)
    dataset = coco.dataset_of(truth, pathlib.Path(annotations).stem)
    return {
        **scored,
        **_other_metrics(dataset, from_coco(results, dataset.category_ids), metrics, text_score),
    }


def _other_metrics(dataset, detections, metrics, text_score):
    scored = {
        name: voc.voc_metrics(dataset, detections, eleven_point=name == "voc07")
        for name in ("voc07", "voc")
        if name in metrics
    }
    if "ilsvrc" in metrics:
        scored["ilsvrc"] = imagenet_det.ilsvrc_metrics(dataset, detections)
    of_text = {
        name: icdar.text_metrics(dataset, detections, name, text_score)
        for name in ("deteval", "icdar_iou")
        if name in metrics
    }
    return {**scored, **of_text}


def _check_names(metrics):
    unknown = [name for name in metrics if name not in METRICS]
    if unknown or not metrics:
        raise ConfigError(
            f"metrics: found {', '.join(map(repr, unknown)) or 'none'}, allowed: {', '.join(METRICS)}"
        )

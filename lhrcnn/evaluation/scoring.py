"""From detections to metrics: of a `Dataset` in memory, or of files made elsewhere."""
import pathlib

from lhrcnn.evaluation import coco, imagenet_det, voc
from lhrcnn.evaluation.detections import from_coco

METRICS = ("coco", "voc07", "voc", "ilsvrc")


def score(dataset, detections, metrics=("coco",), backend="fast"):
    """{"coco": ..., "voc07": ..., "voc": ..., "ilsvrc": ...} as far as named in `metrics`; see `coco_metrics`, `voc_metrics` and
    `ilsvrc_metrics` for the entries.

    Raises ValueError for an unknown metric or backend."""
    _check_names(metrics)
    scored = {}
    if "coco" in metrics:
        scored["coco"] = coco.coco_metrics(coco.truth_of(dataset), detections.to_coco(dataset), backend)
    return {**scored, **_mean_ap(dataset, detections, metrics)}


def score_files(annotations, detections, metrics=("coco",), backend="fast"):
    """The metrics of a COCO result file against a COCO annotations file.

    For the VOC and ILSVRC metrics a crowd box counts as difficult. Raises FileNotFoundError, or DataError (a ValueError) naming file and entry."""
    _check_names(metrics)
    truth = coco.read_truth(annotations)
    results = coco.read_results(detections, truth)
    scored = {}
    if "coco" in metrics:
        scored["coco"] = coco.coco_metrics(truth, results, backend)
    dataset = coco.dataset_of(truth, pathlib.Path(annotations).stem)
    return {**scored, **_mean_ap(dataset, from_coco(results, dataset.category_ids), metrics)}


def _mean_ap(dataset, detections, metrics):
    scored = {name: voc.voc_metrics(dataset, detections, eleven_point=name == "voc07") for name in ("voc07", "voc") if name in metrics}
    if "ilsvrc" in metrics:
        scored["ilsvrc"] = imagenet_det.ilsvrc_metrics(dataset, detections)
    return scored


def _check_names(metrics):
    unknown = [name for name in metrics if name not in METRICS]
    if unknown or not metrics:
        raise ValueError(f"metrics: found {', '.join(map(repr, unknown)) or 'none'}, allowed: {', '.join(METRICS)}")

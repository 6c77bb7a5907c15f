"""From detections to metrics: of a `Dataset` in memory, or of files made elsewhere."""
import pathlib

from lhrcnn.evaluation import coco, voc
from lhrcnn.evaluation.detections import from_coco

METRICS = ("coco", "voc07", "voc")


def score(dataset, detections, metrics=("coco",), backend="fast"):
    """{"coco": ..., "voc07": ..., "voc": ...} as far as named in `metrics`; see `coco_metrics` and `voc_metrics` for the entries.

    Raises ValueError for an unknown metric or backend."""
    _check_names(metrics)
    scored = {}
    if "coco" in metrics:
        scored["coco"] = coco.coco_metrics(coco.truth_of(dataset), detections.to_coco(dataset), backend)
    return {**scored, **_voc_metrics(dataset, detections, metrics)}


def score_files(annotations, detections, metrics=("coco",), backend="fast"):
    """The metrics of a COCO result file against a COCO annotations file.

    For the VOC metrics a crowd box counts as difficult. Raises FileNotFoundError, or DataError (a ValueError) naming file and entry."""
    _check_names(metrics)
    truth = coco.read_truth(annotations)
    results = coco.read_results(detections, truth)
    scored = {}
    if "coco" in metrics:
        scored["coco"] = coco.coco_metrics(truth, results, backend)
    dataset = coco.dataset_of(truth, pathlib.Path(annotations).stem)
    return {**scored, **_voc_metrics(dataset, from_coco(results, dataset.category_ids), metrics)}


def _voc_metrics(dataset, detections, metrics):
    return {name: voc.voc_metrics(dataset, detections, eleven_point=name == "voc07") for name in ("voc07", "voc") if name in metrics}


def _check_names(metrics):
    unknown = [name for name in metrics if name not in METRICS]
    if unknown or not metrics:
        raise ValueError(f"metrics: found {', '.join(map(repr, unknown)) or 'none'}, allowed: {', '.join(METRICS)}")

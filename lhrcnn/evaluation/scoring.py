"""From detections to metrics: of a `Dataset` in memory, or of files made elsewhere."""

from lhrcnn.choices import resolve
from lhrcnn.config import EvalConfig
from lhrcnn.errors import ConfigError
from lhrcnn.evaluation.coco_files import read_annotations, read_results
from lhrcnn.evaluation.metrics import METRICS


def score(dataset, detections, options=None):
    """{metric: its numbers} of the `METRICS` named in options.metrics, in that order.

    dataset: a `Dataset`; detections: `Detections` on its images; options: an `EvalConfig`, the
    default one where None. Raises ConfigError for an unknown metric."""
    options = options or EvalConfig()
    unknown = [name for name in options.metrics if name not in METRICS]
    if unknown or not options.metrics:
        raise ConfigError(
            f"'eval.metrics': found {', '.join(map(repr, unknown)) or 'none'}, allowed: "
            f"{', '.join(METRICS)}"
        )
    return {
        name: resolve(METRICS[name].function)(dataset, detections, options)
        for name in options.metrics
    }


def score_files(annotations, detections, options=None):
    """`score` of a COCO result file against a COCO annotation file; a crowd box is to be ignored.

    Raises FileNotFoundError, or DataError naming file and entry."""
    dataset = read_annotations(annotations)
    return score(dataset, read_results(detections, dataset), options)

"""What detections can be scored by: `METRICS`, a dict from the names in `eval.metrics`.

A metric of your own is one entry, put there by a module that the config lists in `plugins`:

    from lhrcnn.evaluation.metrics import METRICS, Metric

    def found_share(dataset, detections, options):
        ...
        return {"found": share}

    METRICS["found_share"] = Metric("objects found at any score", found_share, main="found")
"""

import typing


class Metric(typing.NamedTuple):
    """One way to score detections, and how its numbers are shown.

    function(dataset, detections, options) takes a `lhrcnn.data.schema.Dataset`, the
    `lhrcnn.evaluation.detections.Detections` on its images and the config's `eval` section
    (`EvalConfig`). It returns {name: number}, NaN where there is nothing to find; beside the
    numbers, "per_class" may hold {class name: number}. "module:function" is imported when used.
    Texts contain names of numbers in braces, such as "mAP {mAP}"."""

    meaning: str  # one line, for help and docs
    function: typing.Any
    main: str  # the number that checkpoints are compared by; higher is better
    summary: str = ""  # the line of the headline numbers; none: the metric's name and main number
    column: str = ""  # head of the column with "per_class"; none: the metric's name
    table: str = ""  # several lines with all numbers, above the table of classes
    numbers: tuple = ()  # names of all its numbers; none: they show when it has counted


_COCO_NUMBERS = tuple("AP AP50 AP75 APs APm APl AR1 AR10 AR100 ARs ARm ARl".split())
_VOC_NUMBERS = ("mAP", "mAP70", "mAP50_95")
_TEXT_NUMBERS = ("hmean", "recall", "precision")
COCO_TABLE = """\
 Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = {AP}
 Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets=100 ] = {AP50}
 Average Precision  (AP) @[ IoU=0.75      | area=   all | maxDets=100 ] = {AP75}
 Average Precision  (AP) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = {APs}
 Average Precision  (AP) @[ IoU=0.50:0.95 | area=medium | maxDets=100 ] = {APm}
 Average Precision  (AP) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = {APl}
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=  1 ] = {AR1}
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets= 10 ] = {AR10}
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = {AR100}
 Average Recall     (AR) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = {ARs}
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=medium | maxDets=100 ] = {ARm}
 Average Recall     (AR) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = {ARl}"""

METRICS = {
    "coco": Metric(
        "COCO's 12 numbers",
        "lhrcnn.evaluation.metrics.coco:coco_metrics",
        main="AP",
        summary="AP {AP}  AP50 {AP50}  AP75 {AP75}",
        column="AP",
        table=COCO_TABLE,
        numbers=_COCO_NUMBERS,
    ),
    "voc07": Metric(
        "PASCAL VOC 2007's mAP, from 11 precisions",
        "lhrcnn.evaluation.metrics.voc:voc07_metrics",
        main="mAP",
        summary="VOC 2007 mAP (11 points) {mAP} (IoU 0.7: {mAP70}, 0.5:0.95: {mAP50_95})",
        column="VOC07",
        numbers=_VOC_NUMBERS,
    ),
    "voc": Metric(
        "PASCAL VOC's mAP from 2010 on, the area under the curve",
        "lhrcnn.evaluation.metrics.voc:voc_metrics",
        main="mAP",
        summary="VOC mAP (area) {mAP} (IoU 0.7: {mAP70}, 0.5:0.95: {mAP50_95})",
        column="VOC",
        numbers=_VOC_NUMBERS,
    ),
    "ilsvrc": Metric(
        "ImageNet DET's mAP",
        "lhrcnn.evaluation.metrics.imagenet_det:ilsvrc_metrics",
        main="mAP",
        summary="ILSVRC mAP {mAP}",
        column="DET",
        numbers=("mAP",),
    ),
    "deteval": Metric(
        "text, by DetEval as the script of ICDAR 2013 counts: merged words 1",
        "lhrcnn.evaluation.metrics.icdar:deteval_metrics",
        main="hmean",
        summary="DetEval (ICDAR 2013) H-mean {hmean} (recall {recall}, precision {precision})",
        numbers=_TEXT_NUMBERS,
    ),
    "wolf_jolion": Metric(
        "text, by DetEval with Wolf and Jolion's weights: merged words 0.8",
        "lhrcnn.evaluation.metrics.icdar:wolf_jolion_metrics",
        main="hmean",
        summary="DetEval (Wolf, Jolion) H-mean {hmean} (recall {recall}, precision {precision})",
        numbers=_TEXT_NUMBERS,
    ),
    "icdar_iou": Metric(
        "text, one to one from IoU 0.5 (ICDAR 2015)",
        "lhrcnn.evaluation.metrics.icdar:icdar_iou_metrics",
        main="hmean",
        summary="ICDAR IoU H-mean {hmean} (recall {recall}, precision {precision})",
        numbers=_TEXT_NUMBERS,
    ),
}

# What can count COCO's numbers, the names in `eval.backend`; see coco_backends.
BACKENDS = {
    "hotcoco": "lhrcnn.evaluation.metrics.coco_backends:hotcoco",
    "fast": "lhrcnn.evaluation.metrics.coco_backends:fast",
    "reference": "lhrcnn.evaluation.metrics.coco_backends:reference",
}


def main_number(scored):
    """(name, value) of the number that checkpoints are compared by, such as ("coco/AP", 0.4).

    scored: {metric: its numbers}, as `scoring.score` returns them; the first one's main number
    counts."""
    name = next(iter(scored))
    main = METRICS[name].main
    return f"{name}/{main}", float(scored[name][main])

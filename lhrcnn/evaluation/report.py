"""Metrics as text tables and as JSON."""

import json
import math

_TITLES = {"voc07": "VOC 2007 mAP (11 points)", "voc": "VOC mAP (area)", "ilsvrc": "ILSVRC mAP"}
_TEXT_TITLES = {"deteval": "DetEval", "icdar_iou": "ICDAR IoU"}
_COCO_ROWS = [  # key, what, IoU, area, detections per image: the rows and words that cocoapi prints
    ("AP", "Average Precision  (AP)", "0.50:0.95", "all", 100),
    ("AP50", "Average Precision  (AP)", "0.50", "all", 100),
    ("AP75", "Average Precision  (AP)", "0.75", "all", 100),
    ("APs", "Average Precision  (AP)", "0.50:0.95", "small", 100),
    ("APm", "Average Precision  (AP)", "0.50:0.95", "medium", 100),
    ("APl", "Average Precision  (AP)", "0.50:0.95", "large", 100),
    ("AR1", "Average Recall     (AR)", "0.50:0.95", "all", 1),
    ("AR10", "Average Recall     (AR)", "0.50:0.95", "all", 10),
    ("AR100", "Average Recall     (AR)", "0.50:0.95", "all", 100),
    ("ARs", "Average Recall     (AR)", "0.50:0.95", "small", 100),
    ("ARm", "Average Recall     (AR)", "0.50:0.95", "medium", 100),
    ("ARl", "Average Recall     (AR)", "0.50:0.95", "large", 100),
]


def format_tables(metrics, width=100):
    """The COCO table, the AP of each class, and the one-line summary, of a metrics dict as `lhrcnn.evaluation.scoring.score` returns it.

    n/a stands where there is no truth to find; classes are sorted by the first AP; at most `width` characters per line."""
    parts = []
    if "coco" in metrics:
        parts.append(
            "\n".join(
                f" {what} @[ IoU={iou:<9} | area={area:>6} | maxDets={most:>3} ] = {_number(metrics['coco'][key])}"
                for key, what, iou, area, most in _COCO_ROWS
            )
        )
    if any("per_class" in values for values in metrics.values()):
        parts.append(_class_table(metrics, width))
    return "\n\n".join([*parts, summary(metrics)])


def summary(metrics):
    """One line with the headline numbers, such as `AP 0.505  AP50 0.697  AP75 0.573`."""
    words = [
        f"{key} {_number(metrics['coco'][key])}"
        for key in ("AP", "AP50", "AP75")
        if "coco" in metrics
    ]
    for key, title in _TITLES.items():
        if key in metrics:
            more = {"IoU 0.7": "mAP70", "0.5:0.95": "mAP50_95"} if "mAP70" in metrics[key] else {}
            at = ", ".join(f"{iou}: {_number(metrics[key][name])}" for iou, name in more.items())
            words.append(f"{title} {_number(metrics[key]['mAP'])}" + (f" ({at})" if at else ""))
    for key, title in _TEXT_TITLES.items():
        if key in metrics:
            hmean, recall, precision = (
                _number(metrics[key][name]) for name in ("hmean", "recall", "precision")
            )
            words.append(f"{title} H-mean {hmean} (recall {recall}, precision {precision})")
    return "  ".join(words)


def to_json(metrics):
    """The metrics as JSON text; numbers that are not finite become null."""
    return json.dumps(_finite(metrics), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value):
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if hasattr(value, "item"):  # NumPy scalars
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value):
    return "n/a" if math.isnan(value) else f"{value:.3f}"


def _class_table(metrics, width):
    """A row per class with its AP by every metric, in as many columns of rows as fit."""
    columns = {"coco": "AP", "voc07": "VOC07", "voc": "VOC", "ilsvrc": "DET"}
    columns = {
        key: (title, metrics[key]["per_class"]) for key, title in columns.items() if key in metrics
    }
    _, leading = next(iter(columns.values()))
    names = sorted(leading, key=lambda name: (math.isnan(leading[name]), -leading[name], name))
    longest = max(len(name) for name in ["class", *names])
    rows = [
        f"{name:<{longest}}"
        + "".join(f"  {_number(values[name]):>5}" for _, values in columns.values())
        for name in names
    ]
    head = f"{'class':<{longest}}" + "".join(f"  {title:>5}" for title, _ in columns.values())
    side_by_side = min(max(1, (width + 3) // (len(head) + 3)), math.ceil(len(rows) / 10))
    height = math.ceil(len(rows) / side_by_side)
    stacks = [[head, *rows[start : start + height]] for start in range(0, len(rows), height)]
    stacks = [stack + [" " * len(head)] * (height + 1 - len(stack)) for stack in stacks]
    return "\n".join(" | ".join(line).rstrip(" |") for line in zip(*stacks))

"""What is written down beside an exported model."""

import dataclasses
import json

import tensorflow as tf


def describe(run, options):
    """What a `LoadedRun` exported with `Options` is, as a dict for JSON."""
    postprocess = run.config.model.postprocess
    return {
        "run": run.name,
        "step": run.meta.get("step"),
        "roi_impl": options.roi_impl,
        "tensorflow": tf.__version__,
        "boxes": "ymin, xmin, ymax, xmax in px of the input image",
        "class_names": run.class_names,
        "category_ids": run.category_ids,
        "score_threshold": postprocess.score_threshold,
        "nms_iou": postprocess.nms_iou,
        "max_detections": postprocess.max_detections,
        "test": dataclasses.asdict(run.config.test),
    }


def write_description(description, path):
    """Writes a description as JSON to a new file."""
    text = json.dumps(description, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")

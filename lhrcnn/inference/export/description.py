"""What is written down beside an exported model: `DESCRIPTIONS`."""

import dataclasses
import json

import tensorflow as tf

from lhrcnn import config
from lhrcnn.inference.export.prepare import STEPS

HELD_OUT = "held_out"  # of export.json; files of models do not have it


def describe(run, options, function, **more):
    """What a `LoadedRun` exported with `Options` is, as a dict for JSON: `function` is that of
    images of fixed size, and `more` is added."""
    postprocess = run.config.model.postprocess
    batch_size, *size = function.input_signature[0].shape[:3]
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
        "soft_nms_sigma": postprocess.soft_nms_sigma,
        "max_detections": postprocess.max_detections,
        "test": dataclasses.asdict(run.config.test),
        "image_size": size,
        "batch_size": batch_size,
        **more,
    }


def preprocess_of(run, description):
    """How the input of a form of fixed size is made, as a dict for `prepare.prepare`."""
    data = run.config.data
    return {
        "input": f"image: uint8 RGB [{description['batch_size']}, height, width, 3]",
        "batch_size": description["batch_size"],
        "size": description["image_size"],
        "resize": "stretch" if data.resize == "stretch" else "fit",
        "antialias": data.antialias,
        "fill": [round(mean) for mean in run.model.pixel_mean],
        "steps": STEPS,
    }


def write_descriptions(run, description, folder, preprocess=None):
    """Writes what `describe` and `preprocess_of` give, and the config of a `LoadedRun`.

    export.json also says which images were drawn for validation, so that `eval` draws them too."""
    drawn = {HELD_OUT: list(run.held_out)} if run.held_out else {}
    write_json({**description, **drawn}, folder / "export.json")
    if preprocess:
        write_json(preprocess, folder / "preprocess.json")
    config.save(run.config, folder / "config.yaml")


def write_json(content, path):
    """Writes a dict as JSON."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

"""A run directory as a TensorFlow SavedModel: decoding, resizing, network and postprocessing in one graph.

Signatures, for B images with D detections each:
    serving_default  image_bytes [B] string: encoded JPEG, PNG, BMP or GIF images, each of its own size
    image_tensor     image_tensor [B, H, W, 3] uint8: RGB images of one size, before any resize
Both give boxes [B, D, 4] float32 (ymin, xmin, ymax, xmax) in px of the images as shown, scores [B, D], classes [B, D] int32
(-1 pads) and num_detections [B] int32: scored, NMS applied, best first. The loaded object also has class_names() -> [K] string;
the names are in assets/classes.txt too, and what was exported in assets.extra/export.json.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import tempfile

import tensorflow as tf
from absl import logging

from lhrcnn.data.images import canvases, decode_image, evaluation_short_side, pad_image
from lhrcnn.errors import ExportError
from lhrcnn.inference.predictor import detect_in_images, load_run, prepare, require_own_proposals

SAVED_MODEL_FILES = {
    "saved_model.pb",
    "keras_metadata.pb",
    "fingerprint.pb",
    "variables",
    "assets",
    "assets.extra",
}


def export_saved_model(
    run_dir, output, roi_impl="tf", checkpoint="best", overwrite=False, overrides=()
):
    """Writes the detector of a run directory as a SavedModel into the folder `output`, whole or not at all; returns its path.

    roi_impl "tf": stock TensorFlow loads it; "custom": only where the compiled op was loaded before, which is logged.
    overrides: `section.key=value` on the run's config, such as `test.flip=true`. A folder with content is replaced only if it is a
    SavedModel and `overwrite` is set. Raises FileExistsError for such a folder, ExportError for another roi_impl, OSError when it cannot
    be written, and what `load_run` raises."""
    output = pathlib.Path(os.path.abspath(output))
    if roi_impl not in ("tf", "custom"):
        raise ExportError(
            f"roi_impl: found {roi_impl!r}, allowed: tf (stock TensorFlow ops), custom (the compiled op)"
        )
    _check_output(output, overwrite)
    run = load_run(run_dir, checkpoint, [*overrides, f"model.head.roi_impl={roi_impl}"])
    require_own_proposals(run.config)
    staging = None
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        staging = pathlib.Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}-"))
        _write(
            run, staging / "model", staging / "classes.txt", _description(run, run_dir, roi_impl)
        )
        _move(staging / "model", output, staging / "replaced")
    except (OSError, tf.errors.OpError) as error:
        raise OSError(_cannot_write(output, error)) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    if roi_impl == "custom":
        logging.warning(
            "%s needs the compiled PSRoIAlign op: import lhrcnn.ops.psroi_align and call custom_op_available() before "
            "tf.saved_model.load. TensorFlow Serving loads exports with roi_impl=tf.",
            output,
        )
    return output


class _Exported(tf.Module):
    """The variables and functions that are saved; the Keras model itself stays behind, so that no Keras is needed to load them."""

    def __init__(self, run, class_file):
        super().__init__(name="lhrcnn")
        self._weights = list(run.model.named_variables().values())
        self._class_file = tf.saved_model.Asset(str(class_file))
        self._model_detect, self._data, self._most = (
            run.model.detect,
            run.config.data,
            run.config.model.postprocess.max_detections,
        )
        self._largest = [
            int(side)
            for side in canvases(evaluation_short_side(self._data), self._data).max(axis=0)
        ]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def image_bytes(self, image_bytes):
        return self._detect(lambda contents: self._prepare(decode_image(contents)), image_bytes)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, "image_tensor")])
    def image_tensor(self, image_tensor):
        return self._detect(self._prepare, image_tensor)

    @tf.function(input_signature=[])
    def class_names(self):
        return tf.strings.split(tf.io.read_file(self._class_file.asset_path), "\n")

    def _prepare(self, image):
        padded, image_size = prepare(image, self._data)
        return {
            "image": tf.ensure_shape(pad_image(padded, self._largest), [*self._largest, 3]),
            "image_size": image_size,
            "size": tf.cast(tf.shape(image)[:2], tf.float32),
            "canvas": tf.shape(padded)[:2],
        }

    def _detect(self, prepare_one, inputs):
        """Detections of the images that `prepare_one` makes of each input.

        Those of one canvas run together: quicker than one by one, and nobody's detections depend on the others in the batch."""
        signature = {
            "image": tf.TensorSpec([*self._largest, 3], tf.uint8),
            "image_size": tf.TensorSpec([2]),
            "size": tf.TensorSpec([2]),
            "canvas": tf.TensorSpec([2], tf.int32),
        }
        images = tf.map_fn(prepare_one, inputs, fn_output_signature=signature)
        count, most = tf.shape(images["canvas"])[0], self._most
        found = {
            "boxes": tf.zeros([count, most, 4]),
            "scores": tf.zeros([count, most]),
            "classes": tf.zeros([count, most], tf.int32),
            "num_detections": tf.zeros([count], tf.int32),
        }
        kinds, kind = tf.unique(
            images["canvas"][:, 0] * (self._largest[1] + 1) + images["canvas"][:, 1]
        )
        for k in tf.range(tf.size(kinds)):
            members = tf.where(tf.equal(kind, k))
            these = {name: tf.gather_nd(value, members) for name, value in images.items()}
            height, width = tf.unstack(these["canvas"][0])
            part = detect_in_images(
                self._model_detect,
                these["image"][:, :height, :width],
                these["image_size"],
                these["size"],
            )
            found = {
                name: tf.tensor_scatter_nd_update(value, members, part[name])
                for name, value in found.items()
            }
        return found


def _write(run, folder, class_file, description):
    class_file.write_text(
        "\n".join(" ".join(name.split()) for name in run.class_names), encoding="utf-8"
    )
    exported = _Exported(run, class_file)
    tf.saved_model.save(
        exported,
        str(folder),
        signatures={"serving_default": exported.image_bytes, "image_tensor": exported.image_tensor},
    )
    extra = folder / "assets.extra"
    extra.mkdir()
    (extra / "export.json").write_text(
        json.dumps(description, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _description(run, run_dir, roi_impl):
    postprocess = run.config.model.postprocess
    return {
        "run": pathlib.Path(run_dir).name,
        "step": run.meta.get("step"),
        "roi_impl": roi_impl,
        "tensorflow": tf.__version__,
        "boxes": "ymin, xmin, ymax, xmax in px of the input image",
        "class_names": run.class_names,
        "category_ids": run.category_ids,
        "score_threshold": postprocess.score_threshold,
        "nms_iou": postprocess.nms_iou,
        "max_detections": postprocess.max_detections,
        "test": dataclasses.asdict(run.config.test),
    }


def _check_output(output, overwrite):
    if output.exists() and not output.is_dir():
        raise FileExistsError(f"{output}: a file of this name exists; give another output folder")
    content = sorted(os.listdir(output)) if output.exists() else []
    if content and "saved_model.pb" not in content:
        raise FileExistsError(
            f"{output}: the folder is not empty and no SavedModel (it holds {', '.join(content[:3])}); give another one"
        )
    others = sorted(set(content) - SAVED_MODEL_FILES)
    if content and others:
        raise FileExistsError(
            f"{output}: a SavedModel with other files beside it ({', '.join(others[:3])}), which are not deleted; "
            "give another folder, or move them away"
        )
    if content and not overwrite:
        raise FileExistsError(
            f"{output}: holds a SavedModel already; give another folder, or --overwrite to replace it"
        )


def _move(model, output, replaced):
    """Puts the finished model in the place of `output`; what was there comes back if that fails."""
    if output.exists():
        os.rename(output, replaced)
    try:
        os.rename(model, output)
    except OSError:
        if replaced.exists():
            os.rename(replaced, output)
        raise


def _cannot_write(output, error):
    reason = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    folder = next(parent for parent in output.parents if parent.is_dir())
    free = shutil.disk_usage(folder).free / 1e6
    return (
        f"{output}: the SavedModel cannot be written: {reason}. {folder} has {free:.0f} MB free; make room, give write permission "
        "or choose another folder"
    )

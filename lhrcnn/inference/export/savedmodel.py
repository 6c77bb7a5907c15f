"""A run as a TensorFlow SavedModel: decoding, resizing, network and postprocessing in one graph.

Signatures, for B images with D detections each:
    serving_default  image_bytes [B] string: JPEG, PNG, GIF or BMP (8, 24 or 32 bits a pixel)
                     images, each of its own size
    image_tensor     image_tensor [B, H, W, 3] uint8: RGB images of one size, before any resize
    fixed_size       image [B, H, W, 3] uint8: RGB images of size and number in export.json, without
                     decoding, combined NMS or loops but those of RoIAlign: for converters
The loaded object itself is called like image_tensor.

All give boxes [B, D, 4] float32 (ymin, xmin, ymax, xmax) in px of the images as shown, scores
[B, D], classes [B, D] int32 (-1 pads) and num_detections [B] int32: scored, NMS applied, best
first. What does not decode as an image of an offered format has num_detections -1 and nothing else;
the other images of its batch are not touched. The loaded object also has class_names() -> [K]
string; the names are in assets/classes.txt too, and what was exported in assets.extra/export.json.
"""

import pathlib
import tempfile

import tensorflow as tf
from absl import logging

from lhrcnn.data.decoding import decode_image, decode_stored, has_palette, turned
from lhrcnn.data.images import canvases, evaluation_short_side, pad_image
from lhrcnn.inference.export import ASSETS
from lhrcnn.inference.export.description import describe, write_descriptions
from lhrcnn.inference.export.fixed import fixed_function
from lhrcnn.inference.predictor import canvas_type, detect_in_images, prepare

OFFERED = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM")  # how their files begin
NOT_AN_IMAGE = -1  # num_detections of what does not decode


def write_saved_model(run, folder, options):
    """Writes a `LoadedRun` as a SavedModel into an empty folder, an entry of `EXPORTS`.

    options.roi_impl "tf": stock TensorFlow loads it; "custom": only where the compiled op was
    loaded before, which is logged."""
    with tempfile.TemporaryDirectory() as beside:
        class_file = pathlib.Path(beside, "classes.txt")
        names = [" ".join(name.split()) for name in run.class_names]
        class_file.write_text("\n".join(names), encoding="utf-8")
        exported = _Exported(run, class_file, options)
        tf.saved_model.save(
            exported,
            str(folder),
            signatures={
                "serving_default": exported.image_bytes,
                "image_tensor": exported.image_tensor,
                "fixed_size": exported.fixed_size,
            },
        )
    (folder / ASSETS).mkdir()
    description = describe(run, options, exported.fixed_size)
    write_descriptions(run, description, folder / ASSETS)
    if options.roi_impl == "custom":
        logging.warning(
            "this SavedModel needs the compiled PSRoIAlign op: import lhrcnn.ops.psroi_align and "
            "call custom_op_available() before tf.saved_model.load. TensorFlow Serving loads "
            "exports with roi_impl=tf."
        )


def open_saved_model(folder, precision):
    """As of Format.opens: TensorFlow, with the precision that the run was exported with."""
    del precision
    loaded = tf.saved_model.load(str(folder))

    def run(images):
        found = loaded(tf.constant(images))
        return {name: value.numpy() for name, value in found.items()}

    return run, f"TensorFlow {tf.__version__}"


class _Exported(tf.Module):
    """The variables and functions that are saved.

    The Keras model itself stays behind, so that no Keras is needed to load them."""

    def __init__(self, run, class_file, options):
        super().__init__(name="lhrcnn")
        self._weights = list(run.model.named_variables().values())
        self._class_file = tf.saved_model.Asset(str(class_file))
        self.fixed_size = fixed_function(run, options.size, options.batch_size)
        self._model_detect, self._data = run.model.detect, run.config.data
        self._most = run.config.model.postprocess.max_detections
        sides = canvases(evaluation_short_side(self._data), self._data)
        self._largest = sides.max(axis=0).tolist()
        # One graph of the network for both signatures; a lambda, so that it is no function of the
        # saved object.
        detect = tf.function(self._detect_in_canvases)
        self._detect_prepared = lambda images: detect(images)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def image_bytes(self, image_bytes):
        def prepare_one(contents):
            return self._prepare(*decoded_or_nothing(contents, self._data.accurate_jpeg))

        return self._detect(prepare_one, image_bytes)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, "image_tensor")])
    def image_tensor(self, image_tensor):
        return self._detect(self._prepare, image_tensor)

    __call__ = image_tensor

    @tf.function(input_signature=[])
    def class_names(self):
        return tf.strings.split(tf.io.read_file(self._class_file.asset_path), "\n")

    def _prepare(self, image, is_image=True):
        padded, image_size = prepare(image, self._data)
        return {
            "image": tf.ensure_shape(pad_image(padded, self._largest), [*self._largest, 3]),
            "image_size": image_size,
            "size": tf.cast(tf.shape(image)[:2], tf.float32),
            "canvas": tf.shape(padded)[:2],
            "is_image": is_image,
        }

    def _detect(self, prepare_one, inputs):
        """Detections of the images that `prepare_one` makes of each input."""
        signature = {
            "image": tf.TensorSpec([*self._largest, 3], canvas_type(self._data)),
            "image_size": tf.TensorSpec([2]),
            "size": tf.TensorSpec([2]),
            "canvas": tf.TensorSpec([2], tf.int32),
            "is_image": tf.TensorSpec([], tf.bool),
        }
        images = tf.map_fn(prepare_one, inputs, fn_output_signature=signature)
        return self._detect_prepared(images)

    def _detect_in_canvases(self, images):
        """Detections of images as `_prepare` makes them, stacked.

        Those of one canvas run together: quicker than one by one, and nobody's detections depend
        on the others in the batch."""
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
        return _of_images(images["is_image"], found)


def _of_images(ok, found):
    """Detections [B, ...] where ok [B]; none, and NOT_AN_IMAGE as their number, elsewhere."""
    return {
        "boxes": tf.where(ok[:, None, None], found["boxes"], 0.0),
        "scores": tf.where(ok[:, None], found["scores"], 0.0),
        "classes": tf.where(ok[:, None], found["classes"], -1),
        "num_detections": tf.where(ok, found["num_detections"], NOT_AN_IMAGE),
    }


def decoded_or_nothing(contents, accurate_jpeg=False):
    """(uint8 [H, W, 3], True) of an encoded image; (a black pixel, False) of what is none.

    A graph has no other way to go on after an error than a tf.data pipeline. Its functions are made
    anew for each image, which takes longer than decoding does unless they are small."""
    begins = [tf.strings.substr(contents, 0, len(start)) == start for start in OFFERED]
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False

    def attempt(decode):
        images = tf.data.Dataset.from_tensors(contents)
        images = images.take(tf.cast(tf.reduce_any(begins), tf.int64))
        images = (
            images.map(lambda file: decode(file, accurate_jpeg))
            .ignore_errors()
            .with_options(options)
        )
        nothing = tf.zeros([1, 1, 3], tf.uint8), False
        return images.reduce(nothing, lambda _, image: (image, True))

    image, is_image = tf.cond(
        has_palette(contents), lambda: attempt(decode_image), lambda: attempt(decode_stored)
    )
    return turned(image, contents), is_image

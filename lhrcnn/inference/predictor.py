"""A run directory as a model: images in, detections out.

Shape letters: B images, H W height and width of an image, h w those of its padded canvas, D
detections of an image.
"""

import dataclasses
import os
import typing

import numpy as np
import tensorflow as tf
from PIL import Image

from lhrcnn import config as configuration
from lhrcnn.autograph import without_autograph
from lhrcnn.data import decoding, images
from lhrcnn.errors import ConfigError, DataError, UsageError
from lhrcnn.inference import batching, tta
from lhrcnn.inference.prediction import named
from lhrcnn.models.build import arithmetic, build_detector
from lhrcnn.models.constant_kernels import constant_kernels
from lhrcnn.runs import state, zoo
from lhrcnn.runs.directory import RUN_FILES

PREPARATION = tuple(
    "resize short_side test_short_side long_side size_rounding stretch_size antialias "
    "accurate_jpeg whole_pixels pad_multiple".split()
)


class LoadedRun(typing.NamedTuple):
    """What a run directory holds: the trained model and what it needs to be used."""

    model: typing.Any  # a TwoStageDetector, or what tta.for_testing makes of it
    config: configuration.Config
    class_names: list[str]
    category_ids: list[int]
    meta: dict  # of the checkpoint: step, metric, ...
    name: str = ""  # of the run directory
    held_out: tuple[str, ...] = ()  # images drawn for validation, as data.json has them


class Detector:
    """A trained detector that takes images of any size."""

    def __init__(self, run):
        """`run` is a `LoadedRun`; use `from_run` for a folder.

        Raises ConfigError for one that takes its proposals from a file."""
        require_own_proposals(run.config)
        self.model, self.config, self.class_names, self.category_ids, self.meta = run[:5]
        # Signatures that leave every size open: one trace each, however many sizes of images come.
        self._prepare = tf.function(
            lambda image: prepare(image, self.config.data),
            input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)],
            autograph=False,
        )
        self._prepare.get_concrete_function()  # traced here, before threads call it

        def detect(canvas, image_size, size):
            with constant_kernels(self.model):
                return detect_in_images(self.model.detect, canvas, image_size, size)

        self._detect = tf.function(
            detect,
            input_signature=[
                tf.TensorSpec([None, None, None, 3], canvas_type(self.config.data)),
                tf.TensorSpec([None, 2]),
                tf.TensorSpec([None, 2]),
            ],
            autograph=False,
        )

    @classmethod
    def from_run(cls, run_dir, checkpoint="best"):
        """The detector of a run directory with the weights of its "best" or "last" checkpoint, or
        of a file; errors as of `load_run`."""
        return cls(load_run(run_dir, checkpoint))

    @classmethod
    def from_pretrained(cls, name=zoo.DEFAULT):
        """The detector of a model in the package; `lhrcnn zoo` lists them.

        Raises FileNotFoundError for an unknown name."""
        return cls.from_run(name)

    def digest(self):
        """Hexadecimal sha256 of the weights."""
        return state.digest_of(self.model.named_variables())

    def predict(self, image):
        """The `Prediction` of an image: a path, a PIL image, or a uint8 array [H, W, 3] RGB or [H,
        W] grey.

        Raises DataError saying what was found and what is allowed."""
        _, prepared = self._prepared(image)
        return self._detected([prepared])[0]

    def predict_batch(self, images, batch_size=8):
        """A list with the `Prediction` of each image, as `predict` takes them; errors too."""
        predictions = [found for _, found in self.predict_each(images, batch_size)]
        for found in predictions:
            if isinstance(found, Exception):
                raise found
        return predictions

    def predict_each(self, images, batch_size=8, ahead=batching.AHEAD):
        """Yields (image, its `Prediction`, or the DataError that says why there is none), in order.

        images: an iterable of what `predict` takes. Threads read and resize images, up to `ahead`
        before they are needed; up to `batch_size` of them that share a canvas run together, in two
        halves at once: while one is in NMS, on one processor, the other has the rest."""
        half = -(-batch_size // 2)
        return batching.in_batches(images, self._prepared, self._detected, half, ahead, at_once=2)

    def _prepared(self, image):
        """(canvas size, (padded image, its size on the canvas, its size as shown))."""
        pixels = pixels_of(image, self.config.data)
        padded, image_size = self._prepare(pixels)
        return tuple(padded.shape), (padded, image_size, pixels.shape[:2])

    def _detected(self, prepared):
        """The `Prediction`s of a list of what `_prepared` makes, of one canvas size."""
        padded, image_sizes, sizes = zip(*prepared)
        found = self._detect(tf.stack(padded), tf.stack(image_sizes), np.array(sizes, np.float32))
        results = {name: value.numpy() for name, value in found.items()}
        return [self._prediction(results, row, size) for row, size in enumerate(sizes)]

    def _prediction(self, results, row, size):
        number = results["num_detections"][row]
        columns = (results[name][row, :number] for name in ("boxes", "scores", "classes"))
        return named(self, *columns, tuple(size))


def load_run(run_dir, checkpoint="best", overrides=(), ensemble=()):
    """The `LoadedRun` of a run directory, or of a pretrained model by name.

    It tests as its config's `test` section asks; call it inside a strategy's scope where there
    is one.

    checkpoint: "best", "last" or the path of a file; overrides: `section.key=value`, on the
    run's config; ensemble: more run directories, whose models detect together with this one.
    Raises FileNotFoundError when it is no run directory, CheckpointError when the checkpoint is
    missing or does not fit, ConfigError for wrong options, CheckpointError for unreadable class
    names, UsageError for models of an ensemble with other classes or images."""
    run = _load_one(run_dir, checkpoint, overrides)
    others = [
        _load_one(other, "last" if checkpoint == "last" else "best", overrides)
        for other in ensemble
    ]
    for folder, other in zip(ensemble, others):
        if other.class_names != run.class_names:
            raise UsageError(
                f"{folder}: its classes are {', '.join(other.class_names)}, those of {run_dir} "
                f"{', '.join(run.class_names)}; models of an ensemble learn the "
                "same classes in the same order"
            )
        for field in PREPARATION:
            mine, theirs = getattr(run.config.data, field), getattr(other.config.data, field)
            if mine != theirs:
                raise UsageError(
                    f"{folder}: 'data.{field}' is {theirs}, {mine} in {run_dir}; models of an "
                    f"ensemble take the same images: --set data.{field}=... changes it for all"
                )
    model, data = tta.for_testing([run.model, *(other.model for other in others)], run.config)
    return run._replace(model=model, config=dataclasses.replace(run.config, data=data))


def require_own_proposals(config):
    """Raises ConfigError where a Config has the proposals of known images in a file."""
    if config.data.proposals:
        raise ConfigError(
            f"'data.proposals' is {config.data.proposals}: this model takes the proposals of known "
            "images from there, and knows none for others; `lhrcnn eval` scores it, and --set "
            "data.proposals= makes it use its own RPN"
        )


def _load_one(run_dir, checkpoint, overrides):
    """The `LoadedRun` of one directory, with its TwoStageDetector."""
    run = zoo.find_run(run_dir, RUN_FILES)
    config = run.config([*overrides, "model.backbone.weights="])  # the checkpoint has all
    names, category_ids = run.classes()
    arrays, meta = run.checkpoints.load(checkpoint)
    with arithmetic(config.test.precision):
        model = build_detector(config, len(names))
    state.restore_model(model, arrays)
    model.fold()
    return LoadedRun(model, config, names, category_ids, meta, run.folder.name, run.held_out)


def pixels_of(image, data_config):
    """uint8 RGB [H, W, 3] of whatever `Detector.predict` takes; errors as there."""
    if isinstance(image, (str, os.PathLike)):
        return decoding.read_image(image, data_config.accurate_jpeg)
    if isinstance(image, Image.Image):
        return decoding.as_rgb(image)
    array = np.asarray(image)
    if (
        array.dtype != np.uint8
        or 0 in array.shape
        or not (array.ndim == 2 or array.ndim == 3 and array.shape[2] in (1, 3))
    ):
        raise DataError(
            f"predict: found an array of {array.dtype} {list(array.shape)}; allowed: uint8 "
            "[height, width, 3] RGB or [height, width] grey with values 0 to 255, one image at "
            "a time, a PIL image, or a path"
        )
    return np.ascontiguousarray(
        np.broadcast_to(array.reshape(*array.shape[:2], -1), [*array.shape[:2], 3])
    )


def canvas_type(data_config):
    """The type of the pixels of what `prepare` makes."""
    return tf.uint8 if data_config.whole_pixels else tf.float32


def prepare(image, data_config):
    """(uint8 or float32 [h, w, 3] on its padded canvas, [2] float32 height and width it covers
    there) of an image uint8 [H, W, 3]."""
    resized, _ = images.resize_image(image, data_config)
    size = tf.shape(resized)[:2]
    return images.pad_image(resized, images.own_canvas(size, data_config)), tf.cast(
        size, tf.float32
    )


@without_autograph
def detect_in_images(detect, canvas, image_size, size):
    """What `detect`, a detector's method, finds, in px of images before they were resized.

    size [B, 2]: height and width of these; image_size [B, 2]: after; canvas: [B, h, w, 3], from
    `prepare`. Boxes are clipped to the images."""
    detections = detect(canvas, image_size)
    factor, limit = tf.tile(size / image_size, [1, 2])[:, None], tf.tile(size, [1, 2])[:, None]
    return {**detections, "boxes": tf.clip_by_value(detections["boxes"] * factor, 0.0, limit)}

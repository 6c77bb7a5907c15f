"""From a config to a detector."""

import contextlib

import tensorflow as tf

from lhrcnn.autograph import without_autograph
from lhrcnn.choices import resolve
from lhrcnn.errors import ConfigError
from lhrcnn.keras import keras
from lhrcnn.models.backbones import BACKBONES
from lhrcnn.models.backbones.fpn import with_fpn
from lhrcnn.models.detector import TwoStageDetector
from lhrcnn.models.extractors import EXTRACTORS
from lhrcnn.models.heads import HEADS
from lhrcnn.models.heads.box import BoxHead
from lhrcnn.models.heads.locnet import LocNetHead
from lhrcnn.models.parts import Backbone
from lhrcnn.models.rpn import RPN


@contextlib.contextmanager
def arithmetic(precision):
    """Layers made inside compute as a Keras policy says, mixed_bfloat16 for example; their
    variables are float32 whatever it is."""
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(precision)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


@without_autograph
def build_detector(config, num_classes):
    """The TwoStageDetector of a Config for `num_classes` foreground classes, with random weights.

    Call it inside a distribution strategy's scope. Raises ConfigError for a level that the backbone
    does not have, is named twice, or stands in the wrong place."""
    model = config.model
    backbone = build_backbone(model.backbone)
    if model.fpn.channels:
        _check_levels(model.fpn.levels, "model.fpn.levels", backbone)
        backbone = with_fpn(backbone, model.fpn)
    _check_levels(model.rpn.levels, "model.rpn.levels", backbone, in_order=False)
    _check_levels(model.head.levels, "model.head.levels", backbone)
    _check_levels(model.locnet.levels, "model.locnet.levels", backbone)
    backbone.freeze(model.backbone.frozen_stages)
    rpn, head = RPN(model.rpn, backbone.strides), build_head(model, backbone.strides, num_classes)
    detector = TwoStageDetector(backbone, rpn, head, model.postprocess)
    # Creates the variables of RPN and head; one box takes less memory than a thousand proposals.
    image_size, maps = tf.constant([[64.0, 64.0]]), backbone.model(tf.zeros([1, 64, 64, 3]))
    rpn(maps)
    head.localise(head.prepare(maps, image_size), tf.constant([[[0.0, 0, 64, 64]]]), image_size)
    _train_only(config.train.part, detector, model)
    return detector


@without_autograph
def build_backbone(options):
    """The Backbone of a BackboneConfig with random weights, all of it trainable as far as
    batch_norm lets it."""
    backbone = resolve(BACKBONES[options.name])(options)
    if not isinstance(backbone, Backbone):
        raise ConfigError(
            f"'model.backbone.name': the function of '{options.name}' returned a "
            f"{type(backbone).__name__}; lhrcnn.models.parts.Backbone is expected"
        )
    backbone.pixel_mean = options.pixel_mean or backbone.pixel_mean
    backbone.pixel_std = options.pixel_std or backbone.pixel_std
    backbone.strides = {
        level: stride // options.enlarge for level, stride in backbone.strides.items()
    }
    return backbone


def build_head(model, strides, num_classes):
    """The second stage of a ModelConfig for `num_classes`; `strides` is {level: px}."""
    kind = model.head.kind
    if kind in HEADS:
        head = resolve(HEADS[kind])(model, strides, num_classes)
    else:
        extractor = resolve(EXTRACTORS[kind])(model, strides)
        head = BoxHead(model.head, extractor, num_classes)
    return head if model.head.localisation == "box" else LocNetHead(model.locnet, head, strides)


def _train_only(part, detector, model):
    """Takes the other part, and the layers of the backbone that no trained part reads, from the
    trained variables."""
    own_levels = model.locnet.levels if model.head.localisation != "box" else []
    parts = {
        "rpn": (detector.rpn, model.rpn.levels),
        "head": (detector.head, [*model.head.levels, *own_levels]),
    }
    read = []
    for name, (layer, levels) in parts.items():
        if part in (name, "all"):
            read += levels
        else:
            layer.trainable = False
    backbone = detector.backbone
    reached = keras.Model(backbone.input, [backbone.output[level] for level in read]).layers
    for layer in backbone.layers:
        if layer not in reached:
            layer.trainable = False


def _check_levels(levels, option, backbone, in_order=True):
    for level in levels:
        if level not in backbone.strides:
            raise ConfigError(
                f"'{option}': there is no map '{level}', only {', '.join(backbone.strides)}"
            )
    right = sorted(dict.fromkeys(levels), key=backbone.strides.get)
    if len(right) < len(levels) or in_order and right != list(levels):
        raise ConfigError(
            f"'{option}': found {', '.join(levels)}; name each map once, from fine to coarse: "
            f"{', '.join(right)}"
        )

"""From a config to a detector."""

import contextlib

import tensorflow as tf

from lhrcnn.errors import ConfigError
from lhrcnn.keras import keras
from lhrcnn.models.backbones.fpn import with_fpn
from lhrcnn.models.backbones.mobilenet import mobilenet_v2
from lhrcnn.models.backbones.resnet import resnet, stage5
from lhrcnn.models.backbones.vgg import vgg16
from lhrcnn.models.backbones.xception import xception
from lhrcnn.models.detector import TwoStageDetector
from lhrcnn.models.extractors.fast_rcnn import FCExtractor, Stage5Extractor
from lhrcnn.models.extractors.light import LightExtractor
from lhrcnn.models.heads.box import BoxHead
from lhrcnn.models.heads.locnet import LocNetHead
from lhrcnn.models.heads.rfcn import RFCNHead
from lhrcnn.models.rpn import RPN

BACKBONES = {
    "xception": xception,
    "mobilenet_v2": mobilenet_v2,
    "vgg16": vgg16,
    "resnet50": resnet,
    "resnet101": resnet,
    "resnext101_32x4d": resnet,
    "resnext101_64x4d": resnet,
    "resnext101_32x8d": resnet,
}


@contextlib.contextmanager
def arithmetic(precision):
    """Layers made inside compute as a Keras policy says, mixed_bfloat16 for example; their variables are float32 whatever it is."""
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(precision)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


def build_detector(config, num_classes):
    """The TwoStageDetector of a Config for `num_classes` foreground classes, with random weights.

    Call it inside a distribution strategy's scope. Raises ConfigError for a level that the backbone does not have."""
    model = config.model
    backbone = build_backbone(model.backbone)
    if model.fpn.channels:
        _check_levels(model.fpn.levels, "model.fpn.levels", backbone)
        backbone = with_fpn(backbone, model.fpn)
    _check_levels(model.rpn.levels, "model.rpn.levels", backbone)
    _check_levels(model.head.levels, "model.head.levels", backbone)
    _check_levels(model.locnet.levels, "model.locnet.levels", backbone)
    backbone.freeze(model.backbone.frozen_stages)
    rpn = RPN(model.rpn, backbone.strides)
    detector = TwoStageDetector(
        backbone, rpn, _head(model, backbone.strides, num_classes), model.postprocess
    )
    detector.detect(
        tf.zeros([1, 64, 64, 3], tf.uint8), tf.constant([[64.0, 64.0]])
    )  # creates the variables of the heads
    _train_only(config.train.part, detector, model)
    return detector


def build_backbone(options):
    """The Backbone of a BackboneConfig with random weights, all of it trainable as far as batch_norm lets it."""
    backbone = BACKBONES[options.name](options)
    backbone.pixel_mean = options.pixel_mean or backbone.pixel_mean
    backbone.pixel_std = options.pixel_std or backbone.pixel_std
    backbone.strides = {
        level: stride // options.enlarge for level, stride in backbone.strides.items()
    }
    return backbone


def _train_only(part, detector, model):
    """Takes the other part, and the layers of the backbone that no trained part reads, from the trained variables."""
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


def _head(model, strides, num_classes):
    head = _scoring_head(model, strides, num_classes)
    return head if model.head.localisation == "box" else LocNetHead(model.locnet, head, strides)


def _scoring_head(model, strides, num_classes):
    config = model.head
    if config.kind == "rfcn":
        return RFCNHead(config, strides, num_classes)
    if config.kind == "stage5":
        return BoxHead(
            config, Stage5Extractor(config, strides, stage5(model.backbone)), num_classes
        )
    return BoxHead(
        config,
        {"light": LightExtractor, "fc": FCExtractor}[config.kind](config, strides),
        num_classes,
    )


def _check_levels(levels, option, backbone):
    for level in levels:
        if level not in backbone.strides:
            raise ConfigError(
                f"'{option}': there is no map '{level}', only {', '.join(backbone.strides)}"
            )

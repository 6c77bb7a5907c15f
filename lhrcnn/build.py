"""From a config to a detector."""
import tensorflow as tf

from lhrcnn import weights
from lhrcnn.backbones.mobilenet import mobilenet_v2
from lhrcnn.backbones.xception import xception
from lhrcnn.detector import TwoStageDetector
from lhrcnn.heads.light_head import LightHead
from lhrcnn.heads.roi_head import RoIHead
from lhrcnn.heads.rpn import RPN

BACKBONES = {"xception": xception, "mobilenet_v2": mobilenet_v2}


def build_detector(config, num_classes):
    """The TwoStageDetector of a Config for `num_classes` foreground classes, with its variables created.

    Call it inside a distribution strategy's scope. Raises ValueError for a level the backbone does not have."""
    model = config.model
    backbone = BACKBONES[model.backbone.name](model.backbone)
    for level, key in [(level, "model.rpn.levels") for level in model.rpn.levels] + [(model.head.level, "model.head.level")]:
        if level not in backbone.strides:
            raise ValueError(f"'{key}': backbone {model.backbone.name} has no map '{level}', only {', '.join(backbone.strides)}")
    backbone.freeze(model.backbone.frozen_stages)
    head = RoIHead(model.head, LightHead(model.head, backbone.strides), num_classes)
    detector = TwoStageDetector(backbone, RPN(model.rpn, backbone.strides), head, model.postprocess)
    detector.detect(tf.zeros([1, 64, 64, 3], tf.uint8), tf.constant([[64.0, 64.0]]))  # creates the variables of the heads
    if model.backbone.weights:
        weights.load_backbone(detector, model.backbone.name, model.backbone.weights)
    return detector

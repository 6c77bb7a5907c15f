"""TensorFlow 1 checkpoints: TF-slim's resnet_v1_50 and resnet_v1_101, and
zengarden/light_head_rcnn, which is made of the latter.
"""

import re

import numpy as np

from lhrcnn.errors import CheckpointError
from lhrcnn.models.backbones.vgg import PIXEL_MEAN
from lhrcnn.weights import class_names, layouts
from lhrcnn.weights.torch_backbones import RESNET_UNIT
from lhrcnn.weights.translate import Pixels, Source

ROLES = {
    "kernel": "/weights",
    "bias": "/biases",
    "gamma": "/BatchNorm/gamma",
    "beta": "/BatchNorm/beta",
    "moving_mean": "/BatchNorm/moving_mean",
    "moving_variance": "/BatchNorm/moving_variance",
}
CONVOLUTIONS = {"reduce": "conv1", "conv": "conv2", "expand": "conv3", "shortcut": "shortcut"}
DROPPED = (
    (r".*/Momentum", "a momentum of training"),
    (r".*/ExponentialMovingAverage", "an average that testing does not use"),
    (r"global_step|Variable(_\d+)?|learning_rate|beta\d_power", "the state of training"),
    (r".*/mean_rgb", "not a weight"),
    (r".*/logits/.*", "of the ImageNet classifier"),
)


def describe(state, model):
    """The Source of a checkpoint for a ModelConfig.

    Raises CheckpointError where it is no such checkpoint."""
    scopes = {
        match[1]
        for match in (re.match(r"(resnet_v1_\d+)/conv1/weights$", name) for name in state)
        if match
    }
    if len(scopes) != 1:
        raise CheckpointError(
            "not a checkpoint of TF-slim's resnet_v1 or light_head_rcnn: it has no "
            "resnet_v1_50/conv1/weights or the like"
        )
    if model.backbone.style != "pytorch":
        raise CheckpointError(
            "TF-slim's ResNets halve the resolution in the 3x3 convolutions; set "
            "model.backbone.style=pytorch"
        )
    scope = scopes.pop()
    source = Source(state, _layers(scope, model), DROPPED, ROLES, np.asarray)
    scores = state.get(f"{scope}/cls_fc/biases")
    if scores is None:
        return source._replace(pixels=Pixels(mean=PIXEL_MEAN, std=(1, 1, 1)))
    return source._replace(num_classes=scores.size - 1, labels=class_names.COCO)


def _layers(scope, model):
    def unit(match):
        unit = f"{scope}/block{int(match[2]) - 1}/unit_{match[3]}"
        return f"{unit}/bottleneck_v1/{CONVOLUTIONS[match[4]]}"

    def thin(suffix, *steps):
        return f"{scope}/conv_new_1_conv{model.head.kernel_size}_{suffix}", *steps

    to_bins = layouts.bin_major(model.head.pool_size)
    return (
        ("backbone/stem(?:_norm)?", f"{scope}/conv1"),
        (RESNET_UNIT, unit),
        ("rpn/conv", f"{scope}/rpn_conv/3x3"),
        ("rpn/objectness", f"{scope}/rpn_cls_score", layouts.foreground_logit),
        ("rpn/box", f"{scope}/rpn_bbox_pred", layouts.yx_deltas),
        ("head/thin_map/tall_in", *thin("w_pre")),
        ("head/thin_map/wide_out", *thin("w", to_bins)),
        ("head/thin_map/wide_in", *thin("h_pre")),
        ("head/thin_map/tall_out", *thin("h", to_bins)),
        ("head/fc", f"{scope}/ps_fc_1"),
        ("head/class_scores", f"{scope}/cls_fc", layouts.background_last),
        ("head/class_boxes", f"{scope}/bbox_fc", layouts.without_background, layouts.yx_deltas),
    )

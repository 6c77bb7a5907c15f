"""Checkpoints of mmdetection 2 and 3: Faster R-CNN with FPN, C4 or DC5."""

from lhrcnn.errors import CheckpointError
from lhrcnn.weights import class_names, layouts, torch_backbones
from lhrcnn.weights.translate import Pixels, Source

HEAD = "roi_head.bbox_head."
# mmdetection 2 tests with the averages, under the usual names, and keeps what was trained here.
TRAINED = (r"ema_.*", "a weight without the average that testing uses")


def describe(state, model):
    """The Source of a state dict for a ModelConfig.

    Raises CheckpointError where it is no such checkpoint."""
    if f"{HEAD}fc_cls.bias" not in state:
        older = "; it is of version 1, whose anchors, boxes and order of classes are others"
        raise CheckpointError(
            f"not a Faster R-CNN checkpoint of mmdetection 2 or 3: it has no {HEAD}fc_cls.bias"
            f"{older if 'bbox_head.fc_cls.bias' in state else ''}"
        )
    # The models with Caffe's weights, and ResNeXt-101 32x8d with Caffe2's, take BGR.
    bgr = model.backbone.style == "caffe" or model.backbone.name == "resnext101_32x8d"
    return Source(
        state,
        layers(model),
        dropped=(TRAINED,),
        pixels=Pixels(bgr),
        num_classes=state[f"{HEAD}fc_cls.bias"].size - 1,
        labels=class_names.COCO,
    )


def layers(model):
    """Where our layers are."""

    def level(match):
        kind = "lateral" if match[1] == "lateral_c" else "fpn"
        return f"neck.{kind}_convs.{model.fpn.levels.index('c' + match[2])}.conv"

    return (
        *torch_backbones.resnet("backbone.", "roi_head.shared_head."),
        (r"backbone/fpn_(lateral_c|output_p)(\d)", level),
        ("rpn/conv", "rpn_head.rpn_conv"),
        ("rpn/objectness", "rpn_head.rpn_cls"),
        ("rpn/box", "rpn_head.rpn_reg", layouts.yx_deltas),
        ("head/fc1", f"{HEAD}shared_fcs.0", layouts.from_channels_first(model.head.pool_size)),
        (r"head/fc(\d)", lambda match: f"{HEAD}shared_fcs.{int(match[1]) - 1}"),
        ("head/class_scores", f"{HEAD}fc_cls"),
        ("head/class_boxes", f"{HEAD}fc_reg", layouts.yx_deltas),
    )

"""torchvision's state dicts: its Faster R-CNNs, and the classifiers ResNet, ResNeXt, VGG16,
MobileNetV2 and MobileNetV3-Large as backbones.
"""

import re

from lhrcnn.errors import CheckpointError
from lhrcnn.models.backbones.layers import PIXEL_MEAN, PIXEL_STD
from lhrcnn.weights import class_names, layouts, torch_backbones
from lhrcnn.weights.translate import Pixels, Source

OLD_NAMES = (
    (r"(fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)", r"\1.0.\2"),
    (r"(rpn\.head\.conv)\.(weight|bias)", r"\1.0.0.\2"),
)
DETECTOR = "roi_heads.box_predictor.cls_score.bias"
CLASSIFIER = (r"(fc|classifier)\..*|features\.1[68]\.\d\..*", "of the ImageNet classifier")


def describe(state, model):
    """The Source of a state dict for a ModelConfig.

    Raises CheckpointError where it is no such state dict, or the strides of the config's ResNet
    are elsewhere."""
    if any("layer1.0." in name for name in state) and model.backbone.style != "pytorch":
        raise CheckpointError(
            "torchvision's ResNets halve the resolution in the 3x3 convolutions; set "
            "model.backbone.style=pytorch"
        )
    if DETECTOR in state:
        return _detector(state, model)
    if not any(
        name in state for name in ("conv1.weight", "features.0.weight", "features.0.0.weight")
    ):
        raise CheckpointError(
            "not a state dict of torchvision's Faster R-CNNs, ResNets, VGG16 or MobileNets: it "
            f"has no {DETECTOR}, conv1.weight or features.0.weight"
        )
    return _classifier(state, model)


def _detector(state, model):
    # torchvision gives the COCO_V1 weights of its first ResNet, which have the names of before 0.13
    # and frozen batch norms, epsilon 0.
    resnet = "backbone.body.bn1.weight" in state
    frozen = "backbone.body.bn1.num_batches_tracked" not in state
    old = "rpn.head.conv.weight" in state
    for pattern, new in OLD_NAMES:
        state = {re.sub(pattern, new, name): array for name, array in state.items()}
    return Source(
        state,
        layers(model),
        epsilon=0.0 if resnet and old and frozen else 1e-5,
        num_classes=state[DETECTOR].size - 1,
        labels=class_names.COCO_WITH_GAPS,
    )


def layers(model):
    """Where our layers of a detector are."""
    head, convs = "roi_heads.box_head.", model.head.conv_layers

    def level(match):
        blocks = "inner" if match[1] == "lateral_" else "layer"
        index = model.fpn.levels.index(f"c{match[2]}")
        return f"backbone.fpn.{blocks}_blocks.{index}.{int(bool(match[3]))}"

    def fc(match):  # behind convolutions they have numbers: these, a flattening, FC, ReLU, FC, ...
        place = int(match[1]) - 1
        return head + (f"{convs + 1 + 2 * place}" if convs else f"fc{6 + place}")

    backbone = (
        torch_backbones.mobilenet_v3_large
        if model.backbone.name == "mobilenet_v3_large"
        else torch_backbones.resnet
    )
    return (
        (r"backbone/fpn_(lateral_|output_)[cp](\d(?:_\d)?)(_norm)?", level),
        *backbone("backbone.body."),
        ("rpn/conv", "rpn.head.conv.0.0"),
        (r"rpn/conv(\d)", lambda match: f"rpn.head.conv.{int(match[1]) - 1}.0"),
        ("rpn/objectness", "rpn.head.cls_logits"),
        ("rpn/box", "rpn.head.bbox_pred", layouts.yx_deltas),
        (
            r"head/conv(\d)(_norm)?",
            lambda match: f"{head}{int(match[1]) - 1}.{int(bool(match[2]))}",
        ),
        ("head/fc(1)", fc, layouts.from_channels_first(model.head.pool_size)),
        (r"head/fc(\d)", fc),
        ("head/class_scores", "roi_heads.box_predictor.cls_score", layouts.background_last),
        (
            "head/class_boxes",
            "roi_heads.box_predictor.bbox_pred",
            layouts.without_background,
            layouts.yx_deltas,
        ),
    )


def _classifier(state, model):
    kinds = {  # a tensor that each has -> (its layers, epsilon of its batch norms)
        "conv1.weight": (torch_backbones.resnet, 1e-5),
        "features.0.weight": (torch_backbones.vgg16, 1e-5),
        "features.1.block.0.0.weight": (torch_backbones.mobilenet_v3_large, 1e-3),
        "features.0.0.weight": (torch_backbones.mobilenet_v2, 1e-5),
    }
    layers_of, epsilon = next(kinds[name] for name in kinds if name in state)
    chosen = layers_of()
    dropped = [CLASSIFIER]
    if model.backbone.last_level == "c4":
        dropped.append((r"layer4\..*", "the model ends at c4"))
    if "features.0.weight" in state and not has_vgg_fcs(model):
        chosen = chosen[:1]
    pixels = Pixels(mean=PIXEL_MEAN, std=PIXEL_STD)
    return Source(state, chosen, tuple(dropped), pixels=pixels, epsilon=epsilon)


def has_vgg_fcs(model):
    """Whether the head's fully connected layers are those of VGG16."""
    return model.head.kind == "fc" and (
        model.head.pool_size,
        model.head.fc_channels,
        model.head.fc_layers,
    ) == (7, 4096, 2)

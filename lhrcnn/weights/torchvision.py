"""torchvision's state dicts: fasterrcnn_resnet50_fpn, and the classifiers ResNet, ResNeXt, VGG16
and MobileNetV2 as backbones.
"""

import re

from lhrcnn.errors import CheckpointError
from lhrcnn.weights import class_names, layouts, torch_backbones
from lhrcnn.weights.translate import TORCH_COUNTER, TORCH_ROLES, Pixels, Source, with_epsilon

OLD_NAMES = (
    (r"(fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)", r"\1.0.\2"),
    (r"(rpn\.head\.conv)\.(weight|bias)", r"\1.0.0.\2"),
)
DETECTOR = "roi_heads.box_predictor.cls_score.bias"
CLASSIFIER = (r"(fc|classifier)\..*|features\.18\..*", "of the ImageNet classifier")


def describe(state, model, epsilon=None):
    """The Source of a state dict for a ModelConfig; `epsilon` is the batch norm's, None: as
    torchvision's.

    Raises CheckpointError where it is no such state dict, or the strides of the config's ResNet
    are elsewhere."""
    if any("layer1.0." in name for name in state) and model.backbone.style != "pytorch":
        raise CheckpointError(
            "torchvision's ResNets halve the resolution in the 3x3 convolutions; set "
            "model.backbone.style=pytorch"
        )
    if DETECTOR in state:
        return _detector(state, model, epsilon)
    if not any(
        name in state for name in ("conv1.weight", "features.0.weight", "features.0.0.weight")
    ):
        raise CheckpointError(
            "not a state dict of torchvision's fasterrcnn_resnet50_fpn, ResNets, VGG16 or "
            f"MobileNetV2: it has no {DETECTOR}, conv1.weight or features.0.weight"
        )
    return _classifier(state, model, epsilon)


def _detector(state, model, epsilon):
    if epsilon is None:
        # torchvision gives its COCO_V1 weights, which have the names of before 0.13 and frozen
        # batch norms, epsilon 0.
        frozen = "backbone.body.bn1.num_batches_tracked" not in state
        epsilon = 0.0 if "rpn.head.conv.weight" in state and frozen else 1e-5
    for pattern, new in OLD_NAMES:
        state = {re.sub(pattern, new, name): array for name, array in state.items()}
    num_classes = len(state[DETECTOR]) - 1
    return Source(
        with_epsilon(state, epsilon, ".weight", ".running_var"),
        layers(model),
        TORCH_ROLES,
        dropped=(TORCH_COUNTER,),
        layout=layouts.from_torch,
        num_classes=num_classes,
        labels=class_names.COCO_WITH_GAPS if num_classes == 90 else (),
    )


def layers(model):
    """Where our layers of a detector are."""

    def level(match):
        blocks = "inner" if match[1] == "lateral_c" else "layer"
        return f"backbone.fpn.{blocks}_blocks.{model.fpn.levels.index('c' + match[2])}.0"

    return (
        *torch_backbones.resnet("backbone.body."),
        (r"backbone/fpn_(lateral_c|output_p)(\d)", level),
        ("rpn/conv", "rpn.head.conv.0.0"),
        ("rpn/objectness", "rpn.head.cls_logits"),
        ("rpn/box", "rpn.head.bbox_pred", layouts.yx_deltas),
        ("head/fc1", "roi_heads.box_head.fc6", layouts.from_channels_first(model.head.pool_size)),
        ("head/fc2", "roi_heads.box_head.fc7"),
        ("head/class_scores", "roi_heads.box_predictor.cls_score", layouts.background_last),
        (
            "head/class_boxes",
            "roi_heads.box_predictor.bbox_pred",
            layouts.without_background,
            layouts.yx_deltas,
        ),
    )


def _classifier(state, model, epsilon):
    layers = {
        "conv1.weight": torch_backbones.resnet,
        "features.0.weight": torch_backbones.vgg16,
        "features.0.0.weight": torch_backbones.mobilenet_v2,
    }
    chosen = next(layers[name] for name in layers if name in state)()
    dropped = [TORCH_COUNTER, CLASSIFIER]
    if model.backbone.last_level == "c4":
        dropped.append((r"layer4\..*", "the model ends at c4"))
    if "features.0.weight" in state and not has_vgg_fcs(model):
        chosen = chosen[:1]
    return Source(
        with_epsilon(state, 1e-5 if epsilon is None else epsilon, ".weight", ".running_var"),
        chosen,
        TORCH_ROLES,
        tuple(dropped),
        layouts.from_torch,
        Pixels(mean=torch_backbones.RESNET_MEAN, std=torch_backbones.RESNET_STD),
    )


def has_vgg_fcs(model):
    """Whether the head's fully connected layers are those of VGG16."""
    return model.head.kind == "fc" and (
        model.head.pool_size,
        model.head.fc_channels,
        model.head.fc_layers,
    ) == (7, 4096, 2)

"""Checkpoints of simple-faster-rcnn-pytorch: Faster R-CNN with VGG16."""

from lhrcnn.errors import CheckpointError
from lhrcnn.weights import class_names, layouts, torch_backbones
from lhrcnn.weights.translate import TORCH_ROLES, Pixels, Source

DROPOUT_NAMES = {
    "head.classifier.3.": "head.classifier.2."
}  # with dropout its fc7 is the fourth module, not the third


def describe(state, model, epsilon=None):
    """The Source of a state dict for a ModelConfig.

    Raises CheckpointError where it is no such checkpoint."""
    if "head.score.bias" not in state or "extractor.0.weight" not in state:
        raise CheckpointError(
            "not a checkpoint of simple-faster-rcnn-pytorch: it has no head.score.bias or no "
            "extractor.0.weight"
        )
    for old, new in DROPOUT_NAMES.items():
        state = {name.replace(old, new): array for name, array in state.items()}
    num_classes = len(state["head.score.bias"]) - 1
    # Its Caffe weights take BGR without a deviation, its torchvision weights RGB with one.
    bgr = set(model.backbone.pixel_std) <= {1.0}
    return Source(
        state,
        LAYERS,
        TORCH_ROLES,
        dropped=(),
        layout=layouts.from_torch,
        pixels=Pixels(bgr),
        num_classes=num_classes,
        labels=class_names.VOC if num_classes == 20 else (),
    )


LAYERS = (
    *torch_backbones.vgg16("extractor.", "head.classifier.0", "head.classifier.2"),
    ("rpn/conv", "rpn.conv1"),
    ("rpn/objectness", "rpn.score", layouts.foreground_logit),
    ("rpn/box", "rpn.loc"),
    ("head/class_scores", "head.score", layouts.background_last),
    ("head/class_boxes", "head.cls_loc", layouts.without_background),
)

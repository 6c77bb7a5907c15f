"""Checkpoints of simple-faster-rcnn-pytorch: Faster R-CNN with VGG16."""

from lhrcnn.errors import CheckpointError
from lhrcnn.weights import class_names, layouts, torch_backbones
from lhrcnn.weights.translate import Pixels, Source

FC7, FC7_WITH_DROPOUT = "head.classifier.2.", "head.classifier.3."


def describe(state, model):
    """The Source of a state dict for a ModelConfig.

    Raises CheckpointError where it is no such checkpoint."""
    if "head.score.bias" not in state or "extractor.0.weight" not in state:
        raise CheckpointError(
            "not a checkpoint of simple-faster-rcnn-pytorch: it has no head.score.bias or no "
            "extractor.0.weight"
        )
    state = {name.replace(FC7_WITH_DROPOUT, FC7): array for name, array in state.items()}
    # Its Caffe weights take BGR without a deviation, its torchvision weights RGB with one.
    bgr = set(model.backbone.pixel_std) <= {1.0}
    return Source(
        state,
        LAYERS,
        pixels=Pixels(bgr),
        num_classes=state["head.score.bias"].size - 1,
        labels=class_names.VOC,
    )


LAYERS = (
    *torch_backbones.vgg16("extractor.", "head.classifier.0", "head.classifier.2"),
    ("rpn/conv", "rpn.conv1"),
    ("rpn/objectness", "rpn.score", layouts.foreground_logit),
    ("rpn/box", "rpn.loc"),
    ("head/class_scores", "head.score", layouts.background_last),
    ("head/class_boxes", "head.cls_loc", layouts.without_background),
)

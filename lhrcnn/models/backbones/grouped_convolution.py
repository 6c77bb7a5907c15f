"""Grouped convolution that also trains on a CPU."""

import functools
import math

import numpy as np
import tensorflow as tf

from lhrcnn.distribution import on_gpu

# Wide enough for an efficient matrix product, narrow enough to waste little on the zeros between
# groups.
MERGED_CHANNELS = 32


def grouped_convolution(x, kernel, groups, strides=1, padding="SAME", dilations=1):
    """Convolution [B, h', w', D] of x [B, h, w, C] in `groups` runs of consecutive channels, each
    with its share of kernel [kh, kw, C / groups, D]; `padding` is SAME or VALID.

    cuDNN does it on GPUs. TensorFlow has no gradient of it for CPUs: there, neighbouring groups
    merge into dense convolutions of MERGED_CHANNELS, with zeros where a kernel would cross from
    one group to another."""
    convolve = functools.partial(
        tf.nn.convolution, strides=strides, padding=padding, dilations=dilations
    )
    if x.shape[0] == 0:  # on CPUs TensorFlow gives no images the shape that they had
        one = tf.zeros([1, *x.shape[1:]], x.dtype)
        return grouped_convolution(one, kernel, groups, strides, padding, dilations)[:0]
    if groups == 1 or on_gpu():
        return convolve(x, kernel)
    inputs, outputs = kernel.shape[2], kernel.shape[3] // groups  # channels of a group
    merged = math.gcd(groups, max(1, MERGED_CHANNELS // inputs))
    parts = groups // merged
    own = np.tile(np.kron(np.eye(merged), np.ones([inputs, outputs])), parts)
    # own [merged * inputs, D] is 1 within a group.
    blocks = tf.tile(kernel, [1, 1, merged, 1]) * tf.constant(own, x.dtype)
    return tf.concat(
        [convolve(*part) for part in zip(tf.split(x, parts, -1), tf.split(blocks, parts, -1))], -1
    )

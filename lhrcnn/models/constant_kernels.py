"""Kernels of convolutions as constants of a graph: oneDNN then lays out each of them once.

A variable's it lays out at every call, which for the small maps of one small image takes a good
part of a convolution's time.
"""

import contextlib

import tensorflow as tf

from lhrcnn.distribution import on_gpu
from lhrcnn.keras import keras
from lhrcnn.models.backbones.layers import ConvNorm

# Of all kernels together: on its way into a graph a constant is copied more than a dozen times. The
# larger backbones, whose maps are larger too, gain 1 % of their time.
MOST_BYTES = 16 << 20


@contextlib.contextmanager
def constant_kernels(detector):
    """Graphs traced inside hold the kernels of a folded detector as they are now, if these take at
    most MOST_BYTES and run on a CPU.

    For graphs that are traced once, and never trained or exported."""
    layers = [
        layer
        for layer in detector.submodules
        if (layer.folded if isinstance(layer, ConvNorm) else type(layer) is keras.layers.Conv2D)
    ]
    size = sum(layer.kernel.shape.num_elements() for layer in layers) * tf.float32.size
    held = [] if on_gpu() or size > MOST_BYTES else layers
    for layer in held:
        layer.convolution_op = _with_constant(layer)
    try:
        yield
    finally:
        for layer in held:
            del layer.convolution_op  # the class's is back


def _with_constant(layer):
    """The layer's `convolution_op`, a function (x, kernel), with its own kernel as a constant."""
    convolve, constants = layer.convolution_op, {}
    with tf.init_scope():
        values = tf.cast(layer.kernel, layer.compute_dtype).numpy()

    def convolution_op(x, _):
        graph = tf.compat.v1.get_default_graph()
        if graph not in constants:  # one serves all maps of an RPN
            constants[graph] = tf.constant(values)
        return convolve(x, constants[graph])

    return convolution_op

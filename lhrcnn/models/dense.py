"""A fully connected layer that also learns rightly in 16 bits on a CPU."""

import tensorflow as tf

from lhrcnn.distribution import on_gpu
from lhrcnn.keras import keras


class Dense(keras.layers.Dense):
    """Keras's, but for the sum over all rows that is its bias's gradient: in 32 bits. TensorFlow
    adds in bfloat16 on CPUs, where 1,024 equal numbers come to half of what they are."""

    def call(self, inputs):
        """[..., units] of inputs [..., C]."""
        if self.compute_dtype == "float32" or on_gpu():
            return super().call(inputs)
        x = tf.cast(tf.tensordot(inputs, self.kernel, 1), tf.float32)
        x += tf.cast(self.bias, tf.float32)
        return self.activation(tf.cast(x, self.compute_dtype))

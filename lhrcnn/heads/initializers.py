"""How new layers of the heads start."""
import tensorflow as tf


def initializer(std):
    """A new initializer of kernels: normal with this standard deviation, or He's where it is 0."""
    return tf.keras.initializers.RandomNormal(stddev=std) if std else tf.keras.initializers.HeNormal()

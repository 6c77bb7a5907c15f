"""The one place that decides which Keras 2 is used: TensorFlow 2.15's own, or the package tf_keras
beside newer TensorFlows."""

import sys

if sys.version_info >= (
    3,
    12,
):  # TensorFlow there brings Keras 3, and `tf.keras` is either, by what was imported first
    import tf_keras as keras
else:
    from tensorflow import keras

__all__ = ["keras"]

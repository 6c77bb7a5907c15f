"""The one place that decides which Keras 2 is used: TensorFlow 2.15's own, or the package tf_keras
beside newer TensorFlows.
"""

import sys

# By name: what `tf.keras` is depends on the environment ($TF_USE_LEGACY_KERAS), and beside newer
# TensorFlows, which bring Keras 3, on what was imported first.
if sys.version_info >= (3, 12):
    import tf_keras as keras
else:
    from keras.api._v2 import keras  # what `tf.keras` is otherwise

__all__ = ["keras"]

"""One distribution strategy a process: TensorFlow mixes up the collectives of several that share
devices."""

import functools

import tensorflow as tf


@functools.cache
def strategy_for(*devices):
    """The MirroredStrategy over the named devices; without names over all GPUs, or one CPU where
    there is none."""
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    return tf.distribute.MirroredStrategy(list(devices) or gpus or ["CPU:0"])


def evenly_shared(batch_size, strategy):
    """`batch_size` rounded up to a multiple of the strategy's replicas."""
    replicas = strategy.num_replicas_in_sync
    return -(-batch_size // replicas) * replicas


def on_gpu():
    """Whether the graph being built will run on a GPU."""
    return bool(tf.config.list_logical_devices("GPU"))

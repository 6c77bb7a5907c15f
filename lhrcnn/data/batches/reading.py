"""How far, and by how many, images are read before they are needed."""

import os

import tensorflow as tf

READ_AHEAD = 4  # batches
MAX_WORKERS = 16  # where the config says nothing: each holds images in memory


def num_workers(data_config):
    """How many images, or chunks of small ones, are read at the same time with a DataConfig."""
    return data_config.workers or min(os.cpu_count(), MAX_WORKERS)


def read_ahead(batches):
    """The same tf.data.Dataset, READ_AHEAD batches before its reader; every replica gets its slice
    of each batch.

    Sharding by file or element would give replicas other images. tf.data's tuner is off: its thread
    sleeps for up to a minute, and whoever is done with an iterator waits for it."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.prefetch(READ_AHEAD).with_options(options)

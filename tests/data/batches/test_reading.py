"""How far, and by how many, images are read ahead."""

import os

import pytest
import tensorflow as tf

from lhrcnn import config as configs
from lhrcnn.data.batches.reading import MAX_WORKERS, num_workers, read_ahead


@pytest.mark.parametrize(
    "option, expected", [(3, 3), (100, 100), (0, min(os.cpu_count(), MAX_WORKERS))]
)
def test_workers_are_those_asked_for_or_the_processors(option, expected):
    assert num_workers(configs.load(None, [f"data.workers={option}"]).data) == expected


def test_batches_keep_their_order_and_start_no_tuner_that_would_be_waited_for():
    batches = read_ahead(
        tf.data.Dataset.range(20).map(lambda x: x * x, num_parallel_calls=2).batch(4)
    )
    assert [batch.numpy().tolist() for batch in batches] == [
        [x * x for x in range(first, first + 4)] for first in range(0, 20, 4)
    ]
    options = batches.options()
    assert options.autotune.enabled is False
    assert (
        options.experimental_distribute.auto_shard_policy
        == tf.data.experimental.AutoShardPolicy.OFF
    )

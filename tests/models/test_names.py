"""Names of variables: chosen, the same however often a model is built, and what they were once."""

import pytest
import tensorflow as tf

from lhrcnn.errors import ConfigError
from lhrcnn.keras import keras
from lhrcnn.models.names import joined, present, variables_of

ONCE = {
    "thin_map/norm/moving_mean": "head/thin_map/norm/moving_mean",
    "head/light_head/fc/kernel": "head/fc/kernel",
    "head/light_head/fc_norm/gamma": "head/fc_norm/gamma",
    "head/fc_head/fc2/bias": "head/fc2/bias",
    "head/fc_head/skip/scale0": "head/skip/scale0",
    "head/stage5_head/skip/kernel": "head/skip/kernel",
    "c5_1_reduce_norm/gamma": "head/stage5/c5_1_reduce_norm/gamma",
    "score_conv/kernel": "head/score_conv/kernel",
    "class_map/bias": "head/class_map/bias",
    "box_map/bias": "head/box_map/bias",
    "head/box_targets/std": "head/targets/std",
    "locnet/conv1/kernel": "head/locnet/conv1/kernel",
    "locnet/skip/bias": "head/locnet/skip/bias",
    "locnet/locnet_rows/kernel": "head/locnet/rows/kernel",
    "locnet/locnet_columns/bias": "head/locnet/columns/bias",
    "thin_map": "head/thin_map",
}
STILL = [
    "backbone/c5_1_reduce/kernel",
    "rpn/conv/kernel",
    "head/class_scores/bias",
    "head/class_boxes/kernel",
    "match_c3/kernel",
    *ONCE.values(),
]


@pytest.mark.parametrize("name", ONCE)
def test_names_of_older_checkpoints(name):
    assert present(name) == ONCE[name]


@pytest.mark.parametrize("name", STILL)
def test_names_that_stay(name):
    assert present(name) == name


class Block(keras.layers.Layer):
    """Two layers in a list, one in another layer, and a variable of its own."""

    def __init__(self, name, inner="b"):
        super().__init__(name=name)
        self.several = [keras.layers.Dense(1, name="a"), keras.layers.Dense(1, name=inner)]

    def build(self, shape):
        self.factor = self.add_weight("factor", [1])
        super().build(shape)

    def call(self, x):
        return self.factor * self.several[1](self.several[0](x))


def built(block):
    with tf.name_scope("some/scope"):
        block(tf.zeros([1, 2]))
    return block


def test_names_are_the_way_through_the_layers():
    twice = [variables_of(built(Block("block")), "head/block") for _ in range(2)]
    assert list(twice[0]) == list(twice[1])
    assert set(twice[0]) == {
        "head/block/factor",
        *(f"head/block/{layer}/{role}" for layer in "ab" for role in ("kernel", "bias")),
    }


def test_two_layers_of_one_name_are_an_error():
    with pytest.raises(ConfigError, match="two variables are named head/a/kernel"):
        variables_of(built(Block("block", inner="a")), "head")


@pytest.mark.parametrize("name", [None, "dense_3"])
def test_a_name_that_keras_made_up_is_an_error(name):
    """It would be another in the next model of the process."""
    with pytest.raises(ConfigError, match="head: a layer Dense has no name of its own"):
        variables_of(built(Block("block", inner=name)), "head")


def test_parts_are_joined():
    variable = tf.Variable(1.0)
    assert joined({"a": variable}, {"a": variable}, {}) == {"a": variable}


def test_layers_that_are_inlined_add_no_name():
    block = built(Block("block"))
    block.inlined = (block.several[0],)
    assert {"head/kernel", "head/b/kernel", "head/factor"} < set(variables_of(block, "head"))

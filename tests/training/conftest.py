"""Fixtures of the training tests."""

import pytest
import tensorflow as tf
from training.tiny_run import make_coco


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folder of the data set of tiny_run."""
    return make_coco(tmp_path_factory.mktemp("tiny") / "data")


@pytest.fixture(params=["one", "two"])
def strategy(request):
    """One replica, then two."""
    if request.param == "two":
        return request.getfixturevalue("two_cpus")
    return tf.distribute.get_strategy()

"""Fixtures of the training tests."""

import pytest
from training.tiny_run import make_coco


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folder of the data set of tiny_run."""
    return make_coco(tmp_path_factory.mktemp("tiny") / "data")

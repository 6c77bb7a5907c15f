"""examples/transform.py works in a training, and is the same again after a resume."""

import numpy as np
from data.samples import options, write_sized

from lhrcnn.data.batches.pipeline import training_batches
from lhrcnn.data.batches.plan import BatchPlan
from lhrcnn.data.datasets import open_dataset


def test_it_works_everywhere(work_with, tmp_path):
    work_with("transform.py", "data.transforms=[cutout]")
    folder = write_sized(tmp_path / "sized", [(30, 40)] * 4)
    plain = options(folder, "format=coco", "short_side=[30]", "flip=false")
    data = options(folder, "format=coco", "short_side=[30]", "flip=false", "transforms=[cutout]")
    dataset = open_dataset(data, "train", training=True)

    def images(data, start):
        batches = training_batches(BatchPlan(dataset, data, 2, 0), data, start, 4)
        return [batch["image"] for batch in batches.as_numpy_iterator()]

    whole, resumed, untouched = images(data, 0), images(data, 2), images(plain, 0)
    for first, second in zip(whole[2:], resumed):
        np.testing.assert_array_equal(first, second)
    hidden = [(a != b).any(axis=-1) for a, b in zip(whole, untouched)]
    assert all(0 < mask.sum() <= 2 * 16 * 16 for mask in hidden)
    assert len({mask.tobytes() for mask in hidden}) == 4

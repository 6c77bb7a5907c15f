"""Parts of images for pretraining: which part, what is in it, and the stream over steps."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from lhrcnn import config as configs
from lhrcnn.data.batches import crops
from lhrcnn.data.datasets import open_dataset

SIZES = [(40, 60), (61, 33), (50, 50), (24, 90), (45, 47)]  # height, width


@pytest.fixture
def make(tmp_path):
    """A function (overrides) -> (Dataset, Config) of five images whose colour tells where one is:
    red rows, green columns."""
    for number, (height, width) in enumerate(SIZES):
        rows, columns = np.mgrid[:height, :width]
        path = tmp_path / "train" / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(
            np.stack([2 * rows, 2 * columns, 0 * rows + number], -1).astype(np.uint8)
        ).save(path)

    def made(*overrides):
        config = configs.load(
            None,
            [
                "data.format=folders",
                f"data.dir={tmp_path}",
                "pretrain.crop_size=20",
                "pretrain.test_resize=25",
                "train.batch_size=2",
                *overrides,
            ],
        )
        return open_dataset(config.data, "train"), config

    return made


def same(first, second):
    return all(np.array_equal(first[name], second[name]) for name in first)


def test_part_is_inside_and_has_the_share_it_should(rng):
    size = tf.constant([100, 140])
    parts = [
        [value.numpy() for value in crops.random_part(size, tf.constant(numbers, tf.float32), 0.1)]
        for numbers in rng.random((300, 9))
    ]
    corners, sides = (np.stack(values) for values in zip(*parts))
    assert (corners >= 0).all() and (sides >= 1).all() and (corners + sides <= size.numpy()).all()
    area, aspect = sides.prod(1) / 14000, sides[:, 1] / sides[:, 0]
    assert 0.09 < area.min() < 0.15 and 0.8 < area.max() <= 1 and abs(area.mean() - 0.53) < 0.05
    assert aspect.min() > 0.7 and aspect.max() < 1.5 and abs(np.log(aspect).mean()) < 0.05
    whole = crops.random_part(tf.constant([1, 1]), tf.constant([0.999999] * 9), 0.1)
    assert [value.numpy().tolist() for value in whole] == [[0, 0], [1, 1]]


def test_numbers_name_the_part(make):
    dataset, config = make("data.flip=false")
    plan = crops.plan_of(dataset, config)
    for step, batch in enumerate(crops.training_crops(plan, config, 0, 6)):
        planned = plan.batch(step)
        for image, label, index, numbers in zip(
            batch["image"].numpy(), batch["label"].numpy(), planned.indices, planned.numbers
        ):
            number = int(dataset.records[index].path[-5])
            corner, part = (
                value.numpy()
                for value in crops.random_part(
                    tf.constant(SIZES[number]), tf.constant(numbers), 0.08
                )
            )
            assert image[0, 0, 2] == number and label == number % 2
            expected = (corner + (part - 1) / 2) * 2  # the colour in the middle of the part
            np.testing.assert_allclose(image[..., :2].mean((0, 1)), expected, atol=1.5)


def test_any_start_gives_the_same_stream(make):
    dataset, config = make("data.photometric=0.5")
    plan = crops.plan_of(dataset, config)
    whole = list(crops.training_crops(plan, config, 0, 6))
    later = list(crops.training_crops(crops.plan_of(dataset, config), config, 2, 6))
    assert all(same(first, second) for first, second in zip(whole[2:], later)) and not same(
        whole[0], whole[3]
    )
    assert whole[0]["image"].shape == (2, 20, 20, 3) and whole[0]["image"].dtype == tf.uint8


def test_middle_of_every_image_once(make):
    dataset, config = make()
    batches = list(crops.held_out_crops(dataset, config, 4))
    images, labels = (
        np.concatenate([batch[name] for batch in batches]) for name in ("image", "label")
    )
    assert labels.tolist() == [0, 0, 0, 1, 1, -1, -1, -1]
    for image, number in zip(images, [0, 2, 4, 1, 3]):
        height, width = SIZES[number]
        np.testing.assert_allclose(image[..., :2].mean((0, 1)), [height - 1, width - 1], atol=1.5)
        side = round(min(height, width) * 20 / 25)
        np.testing.assert_allclose(np.ptp(image[..., 0].astype(float)), 2 * (side - 1), atol=4)

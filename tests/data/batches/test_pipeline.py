"""Plans and batches."""

import collections

import numpy as np
import pytest
import tensorflow as tf
from data.samples import options, write_sized
from PIL import Image

from lhrcnn.data.batches.pipeline import evaluation_batches, training_batches
from lhrcnn.data.batches.plan import BatchPlan
from lhrcnn.data.datasets import open_dataset
from lhrcnn.data.images import aspect_group, canvases, resize_image

SIZES = [
    (30, 30),
    (30, 40),
    (40, 30),
    (30, 48),
    (48, 30),
    (20, 70),
    (70, 20),
    (33, 41),
    (41, 33),
    (36, 40),
    (31, 40),
] * 2
SMALL = ("format=coco", "short_side=[24, 32]", "long_side=64", "pad_multiple=8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_sized(
        tmp_path_factory.mktemp("sized"), SIZES, boxes=[(2, 3, 10, 8), (0, 0, 20, 20), (5, 5, 6, 7)]
    )


def opened(folder, *overrides):
    data = options(folder, *SMALL, *overrides)
    return data, open_dataset(data, "train", training=True)


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def stream(plan, data, start, stop):
    return [
        {name: value.numpy() for name, value in batch.items()}
        for batch in training_batches(plan, data, start, stop)
    ]


@pytest.mark.parametrize("batch_size", [1, 3, 4, 22, 30])
def test_an_epoch_shows_every_image_once(folder, batch_size):
    data, dataset = opened(folder)
    plan = BatchPlan(dataset, data, batch_size, seed=1)
    assert plan.steps_per_epoch == -(-len(SIZES) // batch_size)
    for epoch in range(3):
        steps = range(epoch * plan.steps_per_epoch, (epoch + 1) * plan.steps_per_epoch)
        counts = collections.Counter(
            int(index) for step in steps for index in plan.batch(step).indices
        )
        assert set(counts) == set(range(len(SIZES)))
        assert (
            sum(counts.values()) == plan.steps_per_epoch * batch_size
        )  # only the last batch is filled up with repeats
        assert max(counts.values()) <= 2


def test_a_step_is_a_pure_function_of_seed_and_step(folder):
    data, dataset = opened(folder)
    plan, again, other = (BatchPlan(dataset, data, 4, seed) for seed in (7, 7, 8))
    forwards = [plan.batch(step) for step in range(30)]
    backwards = [again.batch(step) for step in reversed(range(30))][::-1]
    for first, second in zip(forwards, backwards):
        assert (first.indices.tolist(), first.canvas, first.short_side) == (
            second.indices.tolist(),
            second.canvas,
            second.short_side,
        )
        np.testing.assert_array_equal(first.numbers, second.numbers)
    assert any(
        a.indices.tolist() != other.batch(step).indices.tolist() for step, a in enumerate(forwards)
    )
    size = plan.steps_per_epoch
    assert [b.indices.tolist() for b in forwards[:size]] != [
        b.indices.tolist() for b in forwards[size : 2 * size]
    ]
    assert {batch.short_side for batch in forwards} == {24, 32}


def test_random_numbers_differ_by_seed_step_and_slot(folder):
    data, dataset = opened(folder)
    numbers = np.stack(
        [
            BatchPlan(dataset, data, 4, seed).batch(step).numbers
            for seed in range(20)
            for step in range(15)
        ]
    )
    assert numbers.shape == (300, 4, 8) and len(np.unique(numbers)) > 0.99 * numbers.size
    assert (
        numbers.min() >= 0
        and numbers.max() < 1
        and np.all(np.abs(numbers.mean(axis=(0, 1)) - 0.5) < 0.05)
    )


def test_images_of_one_group_share_batches(folder):
    data, dataset = opened(folder)
    plan = BatchPlan(dataset, data, 2, seed=0)
    groups = aspect_group(
        *(
            np.array([getattr(record, side) for record in dataset.records])
            for side in ("height", "width")
        ),
        data,
    )
    mixed = [
        step
        for step in range(plan.steps_per_epoch)
        if len(set(groups[plan.batch(step).indices])) > 1
    ]
    odd = sum(count % 2 for count in collections.Counter(groups.tolist()).values())
    assert len(mixed) <= odd
    for step in range(plan.steps_per_epoch):
        batch = plan.batch(step)
        sizes = canvases(batch.short_side, data)[groups[batch.indices]]
        assert batch.canvas == tuple(np.max(sizes, axis=0))


def test_large_seeds_and_a_single_image(tmp_path):
    data, dataset = opened(write_sized(tmp_path, [(20, 20)]))
    plan = BatchPlan(dataset, data, 2, seed=2**40)
    assert plan.steps_per_epoch == 1 and plan.batch(5).indices.tolist() == [0, 0]


def test_batches_follow_the_schema(folder):
    data, dataset = opened(folder, "flip=false")
    plan = BatchPlan(dataset, data, 4, seed=0)
    for step, batch in enumerate(stream(plan, data, 0, plan.steps_per_epoch)):
        planned = plan.batch(step)
        assert {name: (value.shape, value.dtype) for name, value in batch.items()} == {
            "image": ((4, *planned.canvas, 3), np.uint8),
            "image_size": ((4, 2), np.float32),
            "scale": ((4, 2), np.float32),
            "boxes": ((4, 3, 4), np.float32),
            "classes": ((4, 3), np.int32),
            "ignore": ((4, 3), bool),
            "image_id": ((4,), np.int64),
        }
        for slot, index in enumerate(planned.indices):
            record = dataset.records[index]
            height, width = batch["image_size"][slot].astype(int)
            assert batch["image_id"][slot] == record.image_id
            assert (
                not batch["image"][slot, height:].any()
                and not batch["image"][slot, :, width:].any()
            )
            expected, scale = resize_image(
                tf.constant(np.asarray(Image.open(record.path))), data, planned.short_side
            )
            np.testing.assert_array_equal(batch["image"][slot, :height, :width], expected)
            np.testing.assert_allclose(batch["scale"][slot], scale)
            np.testing.assert_allclose(
                batch["boxes"][slot] / np.tile(batch["scale"][slot], 2), record.boxes, rtol=1e-5
            )


def test_objects_beyond_max_boxes_are_ignored(tmp_path):
    content_boxes = [(0, 0, 2, 2), (0, 0, 10, 10), (0, 0, 5, 5), (0, 0, 3, 3)]
    folder = write_sized(tmp_path, [(40, 40), (20, 40)], boxes=content_boxes)
    data, dataset = opened(folder, "max_boxes=2", "flip=false", "short_side=[40]")
    assert [problem.kind for problem in dataset.problems] == [
        "objects ignored beyond data.max_boxes"
    ] * 2
    assert "1.png: 4 objects, the 2 largest are learnt" in dataset.problems[0].text
    for batch in stream(BatchPlan(dataset, data, 1, 0), data, 0, 2):
        assert batch["boxes"].shape == (1, 4, 4)
        assert batch["ignore"].tolist() == [[True, False, False, True]]
        assert batch["classes"].tolist() == [[0, 0, 0, 0]]
    assert not any(record.ignore.any() for record in opened(folder)[1].records)


def test_images_without_boxes_are_all_padding(tmp_path):
    data, dataset = opened(
        write_sized(tmp_path, [(20, 30), (30, 20)], boxes=[]),
        "keep_empty=true",
        "min_crop=0.5",
        "photometric=0.5",
    )
    for batch in stream(BatchPlan(dataset, data, 2, 0), data, 0, 3):
        assert batch["boxes"].shape == (2, 1, 4) and (batch["classes"] == -1).all()
        assert not batch["boxes"].any() and not batch["ignore"].any()


ALL_AUGMENTATIONS = ("photometric=0.8", "min_crop=0.5", "max_expand=1.5")


def test_resuming_gives_the_same_stream_to_the_bit(folder):
    data, dataset = opened(folder, *ALL_AUGMENTATIONS, "transforms=[ExactMosaic]")
    whole = stream(BatchPlan(dataset, data, 4, 3), data, 0, 14)  # more than two epochs
    for start in (1, 6, 9):
        resumed = stream(BatchPlan(dataset, data, 4, 3), data, start, 14)
        assert len(resumed) == 14 - start
        for first, second in zip(whole[start:], resumed):
            assert_same(first, second)
    shuffled = stream(BatchPlan(dataset, data, 4, 4), data, 0, 14)
    assert any((a["image_id"] != b["image_id"]).any() for a, b in zip(whole, shuffled))


def test_slots_and_steps_are_augmented_differently(tmp_path):
    data, dataset = opened(write_sized(tmp_path, [(20, 30)]), *ALL_AUGMENTATIONS, "short_side=[24]")
    batches = stream(BatchPlan(dataset, data, 3, 0), data, 0, 2)
    images = [batch["image"][slot].tobytes() for batch in batches for slot in range(3)]
    assert len(set(images)) == 6


@pytest.mark.parametrize("changes", [(), ("min_crop=0.7", "max_expand=1.4")])
def test_boxes_stay_on_their_objects(changes, tmp_path):
    data, dataset = opened(
        write_sized(tmp_path, [(60, 40), (40, 70)], boxes=[(8, 12, 20, 16)]),
        "short_side=[64]",
        "long_side=128",
        *changes,
    )
    for number, (height, width) in enumerate([(60, 40), (40, 70)], start=1):
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[12:28, 8:28] = 255
        Image.fromarray(pixels).save(tmp_path / "train" / f"{number}.png")
    mirrored = set()
    for batch in stream(BatchPlan(dataset, data, 2, 0), data, 0, 12):
        for image, (box,), size in zip(batch["image"], batch["boxes"], batch["image_size"]):
            rows, columns = np.nonzero(image[..., 0] > 127)
            np.testing.assert_allclose(
                box, (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1), atol=1.5
            )
            mirrored.add(bool(box[[1, 3]].mean() > size[1] / 2))
    assert mirrored == {False, True}


@pytest.mark.parametrize("resize", ["keep_ratio", "stretch"])
def test_element_specs_never_change(folder, resize):
    data, dataset = opened(folder, f"resize={resize}", "stretch_size=[16, 24]", *ALL_AUGMENTATIONS)
    plan = BatchPlan(dataset, data, 4, 0)
    first, second = training_batches(plan, data, 0, 6), training_batches(plan, data, 3, 18)
    assert first.element_spec == second.element_spec
    inner = [16, 24] if resize == "stretch" else [None, None]
    assert first.element_spec["image"].shape.as_list() == [4, *inner, 3]
    assert first.element_spec["boxes"].shape == (4, 3, 4)
    evaluated = evaluation_batches(dataset, data, 4).element_spec
    assert evaluated == {**first.element_spec, "row": tf.TensorSpec([4], tf.int64)}
    traces = []

    @tf.function
    def consume(iterator):
        traces.append(1)
        return tf.reduce_sum(tf.cast(next(iterator)["image"], tf.int32))

    for dataset_of_batches, count in ((first, 6), (second, 15)):
        iterator = iter(dataset_of_batches)
        for _ in range(count):
            consume(iterator)
    assert len(traces) == 1


def test_evaluation_shows_every_record_once_in_full_batches(folder):
    data, dataset = opened(folder, "test_short_side=20")
    batches = list(evaluation_batches(dataset, data, 4).as_numpy_iterator())
    seen = np.concatenate([batch["image_id"] for batch in batches])
    assert sorted(seen[seen >= 0]) == sorted(record.image_id for record in dataset.records)
    by_id = {record.image_id: record for record in dataset.records}
    for batch in batches:
        assert len(batch["image_id"]) == 4
        for slot, image_id in enumerate(batch["image_id"]):
            if image_id < 0:
                assert (batch["classes"][slot] == -1).all() and not batch["boxes"][slot].any()
                continue
            record = by_id[image_id]
            assert batch["image"].shape[1:3] == tuple(
                canvases(20, data)[aspect_group(record.height, record.width, data)]
            )
            assert min(batch["image_size"][slot]) == 20 or max(batch["image_size"][slot]) == 64
            np.testing.assert_allclose(
                batch["boxes"][slot] / np.tile(batch["scale"][slot], 2), record.boxes, rtol=1e-5
            )


def test_a_image_of_another_size_than_annotated_is_named(tmp_path):
    data, dataset = opened(write_sized(tmp_path, [(20, 30), (20, 30)]))
    Image.new("RGB", (31, 20)).save(tmp_path / "train" / "2.png")
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"image .*2.png has height and width \[20, 31\]"
    ):
        stream(BatchPlan(dataset, data, 2, 0), data, 0, 1)


def test_replicas_share_each_batch(folder):
    data, dataset = opened(folder, *ALL_AUGMENTATIONS)
    strategy = tf.distribute.MirroredStrategy(tf.config.list_logical_devices("CPU"))
    assert strategy.num_replicas_in_sync == 2
    plan = BatchPlan(dataset, data, 4, 0)
    alone = stream(plan, data, 0, 6)
    distributed = iter(strategy.experimental_distribute_dataset(training_batches(plan, data, 0, 6)))
    for expected in alone:
        parts = {
            name: strategy.experimental_local_results(value)
            for name, value in next(distributed).items()
        }
        assert all([len(part) for part in value] == [2, 2] for value in parts.values())
        assert_same(
            expected,
            {
                name: np.concatenate([part.numpy() for part in value])
                for name, value in parts.items()
            },
        )


@pytest.mark.parametrize("augmentations", [(), ("photometric=0.5",), ALL_AUGMENTATIONS])
def test_cached_images_give_identical_batches(folder, tmp_path, augmentations):
    data, dataset = opened(folder, *augmentations)
    cached = options(folder, *SMALL, *augmentations, f"cache_dir={tmp_path / 'cache'}")
    direct = stream(BatchPlan(dataset, data, 4, 3), data, 0, 8)
    for _ in range(2):  # filling, then reading
        for first, second in zip(direct, stream(BatchPlan(dataset, cached, 4, 3), cached, 0, 8)):
            assert_same(first, second)
    for first, second in zip(
        *(evaluation_batches(dataset, how, 4).as_numpy_iterator() for how in (data, cached))
    ):
        assert_same(first, second)


def test_batches_of_shrunk_images_differ_little(tmp_path):
    folder = write_sized(tmp_path, [(300, 400), (400, 300)])
    ramp = np.indices((400, 400)).sum(0, keepdims=True) * [[[0.3]], [[0.2]], [[0.1]]]
    for path in sorted(folder.glob("**/*.png")):
        width, height = Image.open(path).size
        Image.fromarray(np.moveaxis(ramp[:, :height, :width], 0, 2).astype(np.uint8)).save(path)
    how = ("format=coco", "short_side=[32]", "long_side=48", "min_crop=0.5", "max_expand=1.5")
    batches = []
    for extra in ((), (f"cache_dir={tmp_path / 'cache'}",)):
        data = options(folder, *how, *extra)
        plan = BatchPlan(open_dataset(data, "train"), data, 2, 3)
        batches.append(list(stream(plan, data, 0, 4)))
    for direct, cached in zip(*batches):
        assert abs(direct.pop("image") - cached.pop("image").astype(float)).mean() < 1
        assert_same(direct, cached)


def test_real_images(shared):
    data = options(
        shared / "data" / "coco64",
        "format=coco",
        "val_split=",
        "short_side=[64, 96]",
        "long_side=160",
        *ALL_AUGMENTATIONS,
    )
    dataset = open_dataset(data, "train", training=True)
    plan = BatchPlan(dataset, data, 8, 0)
    canvases = set()
    for batch in stream(plan, data, 0, 2 * plan.steps_per_epoch):
        canvases.add(batch["image"].shape[1:3])
        valid = batch["classes"] >= 0
        boxes, size = batch["boxes"], np.tile(batch["image_size"], 2)[:, np.newaxis]
        assert np.all((boxes >= 0) & (boxes <= size + 1e-3)) and np.all(
            (boxes[..., 2:] > boxes[..., :2]).all(-1) == valid
        )
    assert len(canvases) <= 12


@pytest.mark.parametrize("transforms", ["[]", "[ExactMosaic]"])
def test_shares_of_workers_are_the_rows_of_a_batch(folder, transforms):
    data, dataset = opened(folder, f"transforms={transforms}")
    plan = BatchPlan(dataset, data, 4, seed=1)
    whole = stream(plan, data, 1, 4)
    shares = [
        [
            {name: value.numpy() for name, value in batch.items()}
            for batch in training_batches(plan, data, 1, 4, worker, 2)
        ]
        for worker in range(2)
    ]
    for batch, *parts in zip(whole, *shares):
        for name, value in batch.items():
            joined = np.concatenate([part[name] for part in parts])
            np.testing.assert_array_equal(joined, value, err_msg=name)


def test_workers_evaluate_every_image_once_in_as_many_batches(folder):
    data, dataset = opened(folder)
    shares = [list(evaluation_batches(dataset, data, 4, worker, 3)) for worker in range(3)]
    assert len(set(map(len, shares))) == 1
    rows = np.concatenate([batch["row"] for share in shares for batch in share])
    assert sorted(rows[rows >= 0]) == list(range(len(dataset.records)))
    fillers = [batch["classes"][batch["row"] < 0] for share in shares for batch in share]
    assert all((classes == -1).numpy().all() for classes in fillers)

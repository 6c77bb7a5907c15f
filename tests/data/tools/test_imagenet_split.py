"""val1 and val2: balanced halves, lists, caps, and the whole path from a VOC data set to ILSVRC's
table."""

import json

import numpy as np
import pytest
from data.samples import write_det
from tiny import TINY_RUN

from lhrcnn import cli
from lhrcnn.data.readers.imagenet_det import read_list
from lhrcnn.data.tools import imagenet_split
from lhrcnn.errors import DataError

CLASSES = [("n00000001", "a"), ("n00000002", "b")]


def objects(*classes):
    return [(f"n{k:08d}", 0, 1, 1, 9, 9) for k in classes]


@pytest.fixture
def folder(tmp_path):
    images = {
        f"val/ILSVRC2012_val_{i:08d}": (12, 12, objects(*[1] * (i % 3), *[2] * (i % 2)))
        for i in range(12)
    }
    images.update(
        {
            f"train/ILSVRC2013_train/n{k:08d}/n{k:08d}_{i}": (12, 12, objects(k))
            for k in (1, 2)
            for i in range(5)
        }
    )
    images["train/ILSVRC2013_train_extra0/ILSVRC2013_train_00000001"] = (12, 12, objects(1))
    images["train/ILSVRC2014_train_0000/ILSVRC2014_train_00000001"] = (12, 12, [])
    names = [name.partition("/")[2] for name in images if name.startswith("val")]
    return write_det(
        tmp_path / "det",
        images,
        {"val": [f"{name} {i}" for i, name in enumerate(names, start=1)]},
        CLASSES,
    )


@pytest.mark.parametrize("seed", range(3))
def test_halves_are_balanced_and_depend_on_the_seed_alone(seed):
    rng = np.random.default_rng(seed)
    rates = rng.uniform(0.002, 0.2, 30)
    counts = rng.poisson(rates, [600, 30]) * rng.integers(1, 6, [600, 30])
    second = imagenet_split.halve(counts, seed)
    assert abs(int(second.sum()) - 300) <= 3
    uneven = imagenet_split.imbalance(counts, second)
    by_chance = imagenet_split.imbalance(counts, rng.permutation(600) < 300)
    assert np.median(uneven) < 0.02 and uneven.max() < by_chance.max() / 2
    np.testing.assert_array_equal(imagenet_split.halve(counts, seed), second)
    assert not np.array_equal(imagenet_split.halve(counts, seed + 1), second)


def test_imbalance_by_hand():
    counts = np.array([[3, 0, 0], [1, 2, 0], [0, 2, 0]])
    np.testing.assert_allclose(
        imagenet_split.imbalance(counts, np.array([False, True, True])), [0.5, 1, 0]
    )


def test_validation_falls_into_two_parts(folder):
    first, second, _ = imagenet_split.split_validation(folder, seed=0)
    assert (
        sorted(first + second) == [f"val/ILSVRC2012_val_{i:08d}" for i in range(12)]
        and len(first) == len(second) == 6
    )


def test_a_given_list_is_taken(folder, tmp_path):
    given = tmp_path / "val2_of_others.txt"
    given.write_text("ILSVRC2012_val_00000003 1\nILSVRC2012_val_00000001 2\n")
    first, second, _ = imagenet_split.split_validation(folder, 0, str(given))
    assert (
        second == ["val/ILSVRC2012_val_00000001", "val/ILSVRC2012_val_00000003"]
        and len(first) == 10
    )
    given.write_text("ILSVRC2012_val_00000099 1\n")
    with pytest.raises(
        DataError, match="1 of its 1 images are not in val.txt, such as val/ILSVRC2012_val_00000099"
    ):
        imagenet_split.split_validation(folder, 0, str(given))


def test_training_images_and_their_cap(folder):
    everything = imagenet_split.training_images(folder, 0, seed=0)
    assert len(everything) == 10 and all(
        name.startswith("train/ILSVRC2013_train/") for name in everything
    )
    capped = imagenet_split.training_images(folder, 2, seed=0)
    assert len(capped) == 4 and set(capped) < set(everything)
    np.testing.assert_array_equal((imagenet_split.object_counts(folder, capped) > 0).sum(0), [2, 2])


def test_other_lists_are_not_overwritten(folder):
    imagenet_split.write_list(folder, "val1", ["val/x"])
    imagenet_split.write_list(folder, "val1", ["val/x"])
    with pytest.raises(DataError, match="val1.txt: there already, with other images"):
        imagenet_split.write_list(folder, "val1", ["val/y"])
    assert read_list(folder, "val1")[1] == ["val/x"]


@pytest.mark.slow
def test_split_train_and_evaluate(tmp_path, monkeypatch, capsys):
    """The whole path, by its commands: a data set in the DET layout, its lists, a training,
    ILSVRC's table."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        status = cli.main([*words])
        out, err = capsys.readouterr()
        assert status == 0, err
        return out

    call("data", "make-shapes", "--output", "shapes", "--num_train", "10", "--num_val", "12")
    out = call(
        "data",
        "voc-to-det",
        "--data_dir",
        "shapes",
        "--list",
        "train=train",
        "--list",
        "val=val",
        "--output",
        "det",
    )
    assert "12 images  val" in out
    (tmp_path / "det/ImageSets/DET/train.txt").unlink()
    out = call("data", "imagenet-split", "--data_dir", "det")
    assert "det/ImageSets/DET/train.txt" in out and "largest 0." in out
    second = (tmp_path / "det/ImageSets/DET/val2.txt").read_text().splitlines()
    overrides = [
        "data.format=imagenet_det",
        "data.train_split=train+val1",
        "data.val_split=",
        "data.test_split=val2",
        "train.max_steps=2",
        "eval.metrics=[ilsvrc]",
        "eval.batch_size=3",
    ]
    flags = [word for override in TINY_RUN + overrides for word in ("--set", override)]
    call("train", "--data_dir", "det", "--run_dir", "run", *flags)
    out = call("eval", "--run_dir", "run")
    assert "ILSVRC" in out and "circle" in out
    metrics = json.loads((tmp_path / "run/eval/val2.json").read_text())
    assert metrics["images"] == len(second) and set(metrics["ilsvrc"]["per_class"]) == {
        "circle",
        "square",
        "triangle",
        "star",
    }

"""Proposals on disk: what is refused, and where they lie in batches."""

import dataclasses
import json
import os

import numpy as np
import pytest
from data.samples import options, write_sized

from lhrcnn.data.batches.pipeline import evaluation_batches, training_batches
from lhrcnn.data.batches.plan import BatchPlan
from lhrcnn.data.datasets import open_dataset
from lhrcnn.data.proposals import open_proposals, write_proposals
from lhrcnn.errors import DataError

SIZES = [(30, 40), (40, 30), (33, 41), (50, 20), (30, 30)]
BOXES = [(2, 3, 10, 8), (0, 0, 20, 20), (5, 5, 6, 7)]
NUMBER = 5


def write_truth(folder, records, number=NUMBER, fingerprint="abc"):
    """The ground truth of each image as its proposals, in batches of two images, the last batch
    first."""
    batches = [
        ([record.image_id for record in pair], np.stack([record.boxes for record in pair]))
        for pair in (records[start : start + 2] for start in range(0, len(records), 2)[::-1])
    ]
    return write_proposals(folder, "train", records, number, fingerprint, batches)


@pytest.fixture
def records(tmp_path):
    return open_dataset(
        options(write_sized(tmp_path / "data", SIZES, BOXES), "format=coco"), "train"
    ).records


def test_what_is_written_is_read_memory_mapped(tmp_path, records):
    path = write_truth(tmp_path / "made", records)
    assert path == tmp_path / "made" / "train.npy" and sorted(
        p.name for p in path.parent.iterdir()
    ) == [".lhrcnn_files", "train.json", "train.npy"]
    found = open_proposals(tmp_path / "made", "train", records[1:4], "abc")
    assert (
        isinstance(found.boxes, np.memmap)
        and found.boxes.shape == (5, NUMBER, 4)
        and found.fingerprint == "abc"
    )
    for record in records:
        np.testing.assert_array_equal(
            found.boxes[found.rows[record.image_id]],
            np.concatenate([record.boxes, np.zeros([2, 4])]),
        )
    write_truth(tmp_path / "made", records, number=2)
    np.testing.assert_array_equal(
        open_proposals(tmp_path / "made", "train", records).boxes[0], records[0].boxes[:2]
    )


def cut_header(folder):
    header = json.loads((folder / "train.json").read_text())
    header["images"].pop()
    (folder / "train.json").write_text(json.dumps(header))


@pytest.mark.parametrize(
    "spoil, words",
    [
        (
            lambda folder: os.truncate(folder / "train.npy", 521),
            "train.npy: damaged: it has 521 bytes, .* 528",
        ),
        (lambda folder: (folder / "train.npy").unlink(), "train.npy: no such file"),
        (lambda folder: (folder / "train.json").unlink(), "train.json: no such file"),
        (lambda folder: (folder / "train.json").write_text("[1"), "train.json: not readable"),
        (lambda folder: (folder / "train.json").write_text("{}"), "train.json: not readable"),
        (cut_header, r"damaged: it holds float32 \[5, 5, 4\], train.json says float32 \[4, 5, 4\]"),
    ],
)
def test_damaged_files_are_named(tmp_path, records, spoil, words):
    write_truth(tmp_path / "made", records)
    spoil(tmp_path / "made")
    with pytest.raises(
        DataError, match=f"{words}.*lhrcnn proposals --run_dir RUN --split train --output"
    ):
        open_proposals(tmp_path / "made", "train", records)


def test_files_of_one_stem_are_kept_apart(tmp_path):
    """train/_annotations.coco.json and valid/_annotations.coco.json, as Roboflow writes them."""
    folder, splits = (
        tmp_path / "data",
        ["train/_annotations.coco.json", "valid/_annotations.coco.json"],
    )
    for split, sizes in zip(splits, (SIZES[:2], SIZES[1:])):
        name = split.partition("/")[0]
        write_sized(folder, sizes, BOXES, split=name)
        (folder / f"{name}.json").rename(folder / split)
        records = open_dataset(options(folder, "format=coco"), split).records
        batches = [([r.image_id for r in records], np.stack([r.boxes for r in records]))]
        write_proposals(tmp_path / "made", split, records, NUMBER, "abc", batches)
    for split, number in zip(splits, (2, 4)):
        data = options(folder, "format=coco", f"proposals={tmp_path / 'made'}")
        assert len(open_dataset(data, split).proposals.boxes) == number


def test_proposals_of_another_split_are_refused(tmp_path, records):
    write_truth(tmp_path / "made", records)
    for suffix in ("json", "npy"):
        os.rename(tmp_path / f"made/train.{suffix}", tmp_path / f"made/val.{suffix}")
    with pytest.raises(DataError, match="the proposals of split 'train', not of 'val'"):
        open_proposals(tmp_path / "made", "val", records)


def test_proposals_of_another_model_or_of_other_images_are_refused(tmp_path, records):
    write_truth(tmp_path / "made", records[:-1])
    with pytest.raises(
        DataError, match="proposals of another model: their fingerprint is abc, this model's xyz"
    ):
        open_proposals(tmp_path / "made", "train", records[:-1], "xyz")
    with pytest.raises(
        DataError,
        match=r"holds 4 images, but not 1 of the 5 of the data set, such as .*5.png .image id 5.",
    ):
        open_proposals(tmp_path / "made", "train", records)
    turned = dataclasses.replace(records[0], height=40, width=30)
    with pytest.raises(DataError, match=r"image id 1 is an image of 30 x 40 px .* has 40 x 30"):
        open_proposals(tmp_path / "made", "train", [turned])


def test_interrupted_writing_leaves_nothing_that_counts(tmp_path, records):
    write_truth(tmp_path / "made", records)

    def interrupted():
        yield [1], np.ones([1, 2, 4], np.float32)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_proposals(tmp_path / "made", "train", records, NUMBER, "abc", interrupted())
    with pytest.raises(DataError, match="no such file"):
        open_proposals(tmp_path / "made", "train", records)
    with pytest.raises(DataError, match="4 images got no proposals"):
        write_proposals(
            tmp_path / "made",
            "train",
            records,
            NUMBER,
            "abc",
            [([1], np.ones([1, 2, 4], np.float32))],
        )
    write_truth(tmp_path / "made", records)
    open_proposals(tmp_path / "made", "train", records, "abc")


@pytest.mark.parametrize(
    "changes",
    [
        ("flip=false",),
        (),
        ("min_crop=0.4", "max_expand=1.6"),
        ("resize=stretch", "stretch_size=[16, 24]"),
    ],
)
def test_proposals_lie_where_the_boxes_lie(tmp_path, records, changes):
    write_truth(tmp_path / "made", records)
    data = options(
        tmp_path / "data",
        "format=coco",
        "short_side=[24, 36]",
        "long_side=64",
        "pad_multiple=8",
        *changes,
        f"proposals={tmp_path / 'made'}",
    )
    dataset = open_dataset(data, "train", training=True)
    seen = 0
    for batch in training_batches(BatchPlan(dataset, data, 2, 0), data, 0, 9).as_numpy_iterator():
        assert batch["proposals"].dtype == np.float32 and batch["proposals"].shape == (2, NUMBER, 4)
        np.testing.assert_array_equal(batch["proposals"][:, :3], batch["boxes"])
        assert not batch["proposals"][:, 3:].any()
        seen += (batch["classes"] >= 0).sum()
    assert seen > 20
    by_id = {record.image_id: record for record in records}
    for batch in evaluation_batches(dataset, data, 2).as_numpy_iterator():
        for proposals, scale, image_id in zip(
            batch["proposals"], batch["scale"], batch["image_id"]
        ):
            if image_id >= 0:
                np.testing.assert_allclose(
                    proposals[:3] / np.tile(scale, 2), by_id[image_id].boxes, rtol=1e-5
                )

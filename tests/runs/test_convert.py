"""`lhrcnn convert` as a user types it: from a checkpoint to a run directory that predicts."""

import json

import numpy as np
import pytest
from PIL import Image
from weights import foreign
from weights.test_importers import FPN

from lhrcnn import cli
from lhrcnn import config as configs
from lhrcnn.errors import TrainingError
from lhrcnn.inference.predictor import Detector
from lhrcnn.runs import resume as resuming
from lhrcnn.weights.sources import SOURCES

CONFIG = [
    "--config",
    "faster_rcnn_resnet50_fpn_coco",
    *(
        word
        for override in [*FPN, "data.short_side=[64]", "data.long_side=64"]
        for word in ("--set", override)
    ),
]


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """A function (words) -> (exit status, stdout, stderr) of `lhrcnn`, run in a folder of its
    own."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        status = cli.main([str(word) for word in words])
        return (status, *capsys.readouterr())

    return run


def test_a_converted_checkpoint_is_a_run(call, tmp_path, rng):
    state = foreign.mmdet_fpn(rng)
    np.savez("model.npz", **state)
    (tmp_path / "names.txt").write_text("cat\n\ndog\n", encoding="utf-8")
    words = [
        "convert",
        "--source",
        "mmdet",
        "--checkpoint",
        "model.npz",
        "--classes",
        "names.txt",
        "--output",
        "run",
        *CONFIG,
    ]
    status, out, err = call(*words)
    assert (status, err) == (0, "")
    assert "not used, a counter of training steps: backbone.bn1.num_batches_tracked" in out
    assert f"{len(state) - 53} variables set" in out and "classes        2: cat, dog" in out
    assert json.loads((tmp_path / "run" / "classes.json").read_text()) == {
        "names": ["cat", "dog"],
        "category_ids": [17, 18],
    }
    config = configs.load(tmp_path / "run" / "config.yaml")
    assert config.model.backbone.weights == "" and config.model.fpn.channels == 8
    detector = Detector.from_run(tmp_path / "run")
    np.testing.assert_array_equal(
        detector.model.named_variables()["head/class_scores/bias"],
        state["roi_head.bbox_head.fc_cls.bias"],
    )
    Image.fromarray(rng.integers(0, 256, [40, 60, 3], np.uint8)).save("image.png")
    status, out, _ = call(
        "predict", "image.png", "--run_dir", "run", "--output", "found", "--score_threshold", 0
    )
    assert status == 0 and (tmp_path / "found" / "detections.json").is_file()

    status, _, err = call(*words)
    assert status == 1 and "run: already holds checkpoints; give another --output" in err


def test_a_converted_run_is_no_training_to_go_on_with(tmp_path):
    with pytest.raises(
        TrainingError,
        match="converted from mmdet, not a training to go on with; start one from them with "
        "--init_from",
    ):
        resuming.check_same_data(None, {"step": 0, "converted_from": "mmdet"}, tmp_path)


def test_a_classifier_gives_a_backbone_and_the_rest_is_new(call, rng):
    np.savez("resnet.npz", **foreign.torch_resnet(rng), **{"fc.weight": np.zeros([10, 128])})
    status, out, err = call(
        "convert",
        "--source",
        "torchvision",
        "--checkpoint",
        "resnet.npz",
        "--output",
        "run",
        "--set",
        "data.classes=[a, b]",
        *CONFIG,
    )
    assert (status, err) == (0, "") and "of the ImageNet classifier: fc.weight" in out
    new = (
        out.split("are not in the checkpoint and start from random weights: ")[1]
        .splitlines()[0]
        .split(", ")
    )
    assert {"backbone/fpn_lateral_c5/kernel", "rpn/conv/kernel", "head/class_boxes/bias"} < set(
        new
    ) and "backbone/stem/kernel" not in new
    assert "train --init_from run" in out


@pytest.mark.parametrize(
    "words, status, message",
    [
        (["--source", "mmdet"], 2, "--checkpoint is missing"),
        (["--source", "caffe"], 2, "|".join(SOURCES)),
        (["--source", "mmdet", "--checkpoint", "no.npz"], 1, "no.npz: no such weights file"),
        (
            ["--source", "mmdet", "--checkpoint", "m.npz"],
            1,
            "m.npz: holds 2 classes without names; name them, one per line, in a file",
        ),
        (
            ["--source", "mmdet", "--checkpoint", "m.npz", "--set", "data.classes=[a]"],
            1,
            "m.npz: holds 2 classes, 1 names were given",
        ),
        (
            ["--source", "mmdet", "--checkpoint", "m.npz", "--classes", "twice.txt"],
            1,
            "m.npz: the class 'a' is named twice",
        ),
        (
            ["--source", "torchvision", "--checkpoint", "m.npz"],
            1,
            "m.npz: not a state dict of torchvision's",
        ),
        (
            [
                "--source",
                "mmdet",
                "--checkpoint",
                "m.npz",
                "--set",
                "data.classes=[a, b]",
                "--set",
                "model.head.pool_size=5",
            ],
            1,
            "roi_head.bbox_head.shared_fcs.0.weight: [16, 392] does not make head/fc1/kernel "
            "[200, 16]",
        ),
    ],
)
def test_what_does_not_fit_is_said_and_nothing_written(call, tmp_path, rng, words, status, message):
    np.savez("m.npz", **foreign.mmdet_fpn(rng))
    (tmp_path / "twice.txt").write_text("a\na\n")
    found, _, err = call("convert", "--output", "run", *CONFIG, *words)
    assert found == status and message in err and "Traceback" not in err
    assert not (tmp_path / "run" / "config.yaml").exists()

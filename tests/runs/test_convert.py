"""`lhrcnn convert` as a user types it: from a checkpoint to a run directory that predicts."""

import numpy as np
import pytest
from PIL import Image
from weights import foreign
from weights.test_importers import FPN

from lhrcnn.errors import TrainingError
from lhrcnn.inference.predictor import Detector
from lhrcnn.runs import resume as resuming
from lhrcnn.runs.directory import RunDirectory
from lhrcnn.runs.fine_tune import read_run
from lhrcnn.weights.sources import SOURCES

OPTIONS = [*FPN, "data.short_side=[64]", "data.long_side=64"]
CONVERT = ["convert", "--config=faster_rcnn_resnet50_fpn_coco", "--output=run"]
CONVERT += [f"--set={option}" for option in OPTIONS]


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """In a folder of its own."""
    monkeypatch.chdir(tmp_path)


def test_a_converted_checkpoint_is_a_run(call, done, tmp_path, rng):
    state = foreign.mmdet_fpn(rng)
    np.savez("model.npz", **state)
    (tmp_path / "names.txt").write_text("\ufeffcat\n\ndog\n", encoding="utf-8")
    words = [*CONVERT, "--source=mmdet", "--checkpoint=model.npz", "--classes=names.txt"]
    out = done(*words, "--epsilon=0.001")
    assert "not used, a counter of training steps: backbone.bn1.num_batches_tracked" in out
    assert f"{len(state) - 53} variables set" in out and "classes        2: cat, dog" in out
    run = RunDirectory(tmp_path / "run")
    assert run.classes() == (["cat", "dog"], [17, 18])
    assert run.config().model.backbone.weights == "" and run.config().model.fpn.channels == 8
    np.testing.assert_allclose(
        read_run("run")["backbone/stem_norm/moving_variance"] + 1e-5,
        state["backbone.bn1.running_var"] + 1e-3,
        rtol=1e-6,
    )
    bias = Detector.from_run(run).model.named_variables()["head/class_scores/bias"]
    np.testing.assert_array_equal(bias, state["roi_head.bbox_head.fc_cls.bias"])
    Image.fromarray(rng.integers(0, 256, [40, 60, 3], np.uint8)).save("image.png")
    done("predict image.png --run_dir run --output found --score_threshold 0")
    assert (tmp_path / "found" / "detections.json").is_file()

    status, _, err = call(*words)
    assert status == 1 and "run: already holds checkpoints; give another --output" in err


def test_a_converted_run_is_no_training_to_go_on_with(tmp_path):
    told = (
        "converted from mmdet, not a training to go on with; start one from them with --init_from"
    )
    with pytest.raises(TrainingError, match=told):
        resuming.check_same_data(None, {"step": 0, "converted_from": "mmdet"}, tmp_path)


def test_a_classifier_gives_a_backbone_and_the_rest_is_new(done, rng):
    np.savez("resnet.npz", **foreign.torch_resnet(rng), **{"fc.weight": np.zeros([10, 128])})
    words = ["--source=torchvision", "--checkpoint=resnet.npz", "--set=data.classes=[a, b]"]
    out = done(*CONVERT, *words)
    assert "of the ImageNet classifier: fc.weight" in out and "train --init_from run" in out
    new = out.split("are not in the checkpoint and start from random weights: ")[1].splitlines()[0]
    assert "backbone/stem/kernel" not in new
    for name in ("backbone/fpn_lateral_c5/kernel", "rpn/conv/kernel", "head/class_boxes/bias"):
        assert name in new


@pytest.mark.parametrize(
    "words, status, message",
    [
        ("", 2, "--checkpoint is missing"),
        ("--source caffe", 2, "|".join(SOURCES)),
        ("--checkpoint no.npz", 1, "no.npz: no such weights file"),
        ("--checkpoint m.npz", 1, "m.npz: holds 2 classes without names; name them, one per line"),
        ("--checkpoint m.npz --set data.classes=[a]", 1, "m.npz: holds 2 classes, 1 names were"),
        ("--checkpoint m.npz --classes twice.txt", 1, "m.npz: the class 'a' is named twice"),
        ("--checkpoint m.npz --classes latin.txt", 2, "--classes=latin.txt: not readable as text"),
        ("--source torchvision --checkpoint m.npz", 1, "m.npz: not a state dict of torchvision's"),
        (
            "--checkpoint m.npz --set data.classes=[a,b] --set model.head.pool_size=5",
            1,
            "roi_head.bbox_head.shared_fcs.0.weight: [16, 392] does not make head/fc1/kernel "
            "[200, 16]",
        ),
    ],
)
def test_what_does_not_fit_is_said_and_nothing_written(call, tmp_path, rng, words, status, message):
    np.savez("m.npz", **foreign.mmdet_fpn(rng))
    (tmp_path / "twice.txt").write_text("a\na\n")
    (tmp_path / "latin.txt").write_bytes("ä\nb\n".encode("latin-1"))
    found, _, err = call(*CONVERT, "--source=mmdet", *words.split())
    assert found == status and message in err and "Traceback" not in err
    assert not (tmp_path / "run" / "config.yaml").exists()

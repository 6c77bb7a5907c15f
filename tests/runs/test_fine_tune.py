"""Starting from another run's weights: what is reused, copied by class name, and new."""

import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from training.tiny_run import lines, make_coco, tiny_config

from lhrcnn import config as configs
from lhrcnn.errors import ConfigError
from lhrcnn.models.build import build_detector
from lhrcnn.runs import state
from lhrcnn.runs.directory import RunDirectory
from lhrcnn.runs.fine_tune import init_from, read_run, rescale_outputs
from lhrcnn.training.trainer import train

OLD = ["cat", "dog", "bird"]


def write_run(folder, config, arrays, names=OLD):
    """A run of a Config, with a checkpoint of these arrays."""
    run = RunDirectory(folder)
    run.start(config, names, list(range(1, len(names) + 1)))
    run.checkpoints.save(arrays, {"step": 5})
    return folder


def values(detector):
    return {name: variable.numpy() for name, variable in detector.named_variables().items()}


@pytest.fixture(scope="module")
def detectors():
    """{(overrides, number of classes): detector}, so that each is built once."""
    return {}


@pytest.fixture
def start(tmp_path, small_config, detectors):
    """A function (class names, overrides) -> (a run's arrays, a detector's before and after it
    starts from that run, what was said)."""

    def build(number, overrides):
        if (overrides, number) not in detectors:
            detectors[overrides, number] = build_detector(small_config(*overrides), number)
        return detectors[overrides, number]

    def run(names, overrides=(), old_overrides=()):
        old = {name: v + 1 for name, v in values(build(len(OLD), tuple(old_overrides))).items()}
        stored = {f"model/{name}": array - 1 for name, array in old.items()}
        stored |= {f"ema/{name}": array for name, array in old.items()}
        folder = write_run(tmp_path / "old", small_config(*old_overrides), stored)
        detector = build(len(names), tuple(overrides))
        before = values(detector)
        said = init_from(detector, names, folder)
        return old, before, values(detector), "\n".join(said)

    return run


def test_classes_are_copied_by_name(start):
    old, before, after, said = start(["fish", "dog"])
    kernel = "backbone/stem/kernel"
    assert_array_equal(after[kernel], old[kernel], "averaged weights win")
    assert_array_equal(after["rpn/box/bias"], old["rpn/box/bias"])
    scores, boxes, bias = (
        f"head/class_{name}" for name in ("scores/kernel", "boxes/kernel", "boxes/bias")
    )
    assert_array_equal(after[scores][:, 1:], old[scores][:, [1, 3]], "dog and background")
    assert_array_equal(after[scores][:, 0], before[scores][:, 0])
    assert_array_equal(after[boxes][:, :4], before[boxes][:, :4])
    assert_array_equal(after[boxes][:, 4:], old[boxes][:, 4:8])
    assert_array_equal(after[bias][4:], old[bias][4:8])
    assert f"{len(after) - 4} variables reused, 4 copied by class, 0 new" in said
    for words in ("copied by class: head/class_scores/kernel", "known: dog", "classes new: fish"):
        assert words in said


def test_same_number_of_classes_in_another_order(start):
    old, _, after, said = start(["bird", "cat", "dog"])
    bias = "head/class_scores/bias"
    assert_array_equal(after[bias], old[bias][[2, 0, 1, 3]])
    assert "classes new" not in said


def test_one_box_for_all_classes_is_copied_whole(start):
    agnostic = ["model.head.class_agnostic=true"]
    old, _, after, _ = start(["fish", "dog"], agnostic, agnostic)
    assert_array_equal(after["head/class_boxes/kernel"], old["head/class_boxes/kernel"])


def test_cells_of_locnet_are_copied_by_class(start):
    locnet = ["model.locnet.channels=4", "model.locnet.pool_size=2"]
    options = ["model.head.localisation=in_out", *locnet]
    old, _, after, _ = start(["dog", "fish"], options, options)
    bias = "head/locnet/rows/bias"
    assert_array_equal(after[bias][:28], old[bias][28 * OLD.index("dog") :][:28])


def test_position_sensitive_maps_hold_the_classes_of_every_bin(start):
    rfcn = ["model.head.kind=rfcn"]
    old, before, after, _ = start(["fish", "dog"], rfcn, rfcn)
    name = "head/class_map/bias"
    found = after[name].reshape(9, 3)
    assert_array_equal(found[:, 1:], old[name].reshape(9, 4)[:, [1, 3]])
    assert_array_equal(found[:, 0], before[name].reshape(9, 3)[:, 0])


MEASURED = ["model.head.target_statistics=measured", "data.proposals=somewhere"]

FIXED = ["model.head.target_std=[0.2, 0.1, 0.3, 0.4]"]


@pytest.mark.parametrize("options", [[], ["model.head.class_agnostic=true"]])
@pytest.mark.parametrize(
    "kind, old, new",
    [("fc", [], FIXED), ("rfcn", [], FIXED), ("fc", MEASURED, []), ("light", [], MEASURED)],
)
def test_boxes_stay_what_they_were_in_the_units_of_both_runs(
    tmp_path, small_config, random_batch, kind, options, old, new
):
    """Whatever the targets of the two runs are normalised by: fixed, or measured for each class."""
    shared = [f"model.head.kind={kind}", *options]
    first = build_detector(small_config(*shared, *old), 3)
    rng = np.random.default_rng(0)
    for name, variable in first.named_variables().items():
        if "box" in name or "targets" in name:
            variable.assign(rng.uniform(0.1, 0.3, variable.shape))
    config = small_config(*shared, *old)
    folder = write_run(tmp_path / "old", config, state.model_arrays(first))
    second = build_detector(small_config(*shared, *new), 3)
    init_from(second, ["bird", "cat", "dog"], folder)
    if new == MEASURED:  # as a training does once it has measured them
        before = second.head.targets.values()
        for values in (second.head.targets.mean, second.head.targets.std):
            values.assign(rng.uniform(0.1, 0.3, values.shape))
        rescale_outputs(second, before)
    batch = random_batch(1)
    size, boxes = batch["image_size"], tf.constant([[[4.0, 4, 40, 40], [20, 10, 60, 50]]])

    def localised(detector):
        prepared, _ = detector.regions(batch["image"], size, boxes)
        return detector.localise(prepared, boxes, size)[0].numpy()

    order = [0] if options else [2, 0, 1]
    assert_allclose(localised(second), localised(first)[:, :, order], atol=1e-3)


def test_means_of_targets_do_not_go_into_position_sensitive_maps(tmp_path, small_config):
    rfcn = ["model.head.kind=rfcn"]
    first = build_detector(small_config(*rfcn, *MEASURED), 3)
    first.head.targets.mean.assign(np.full(12, 0.1))
    write_run(tmp_path, small_config(*rfcn, *MEASURED), state.model_arrays(first))
    with pytest.raises(ConfigError, match="'model.head.target_statistics'.*cannot be used exactly"):
        init_from(build_detector(small_config(*rfcn), 3), OLD, tmp_path)


def test_other_shapes_start_anew_and_are_named(start):
    old, before, after, said = start(["dog", "cat"], ["model.head.fc_channels=8"])
    assert_array_equal(after["rpn/conv/kernel"], old["rpn/conv/kernel"])
    for name in ("head/class_scores/kernel", "head/fc/kernel"):
        assert_array_equal(after[name], before[name])
        assert name in said.split("variables new: ")[1]


def test_another_model_or_no_run_is_an_error(tmp_path, small_config, start):
    with pytest.raises(FileNotFoundError, match="nowhere: not a run directory"):
        init_from(build_detector(small_config(), 2), ["dog"], tmp_path / "nowhere")
    write_run(tmp_path, small_config(), {"model/other": np.zeros(3)}, ["dog"])
    with pytest.raises(ValueError, match="none of its 1 weights fits this model"):
        init_from(build_detector(small_config(), 2), ["dog"], tmp_path)


def test_training_starts_there_and_a_resumed_run_does_not(tmp_path, capsys):
    data = make_coco(tmp_path / "coco", num_train=4, num_val=2)
    config = tiny_config(
        data, "data.val_split=", "train.max_steps=1", "data.classes=[red]", "train.learning_rate=0"
    )
    old = {name: value + 1 for name, value in values(build_detector(config, 2)).items()}
    stored = {f"model/{name}": array for name, array in old.items()}
    start = str(write_run(tmp_path / "old", config, stored, ["green", "red"]))
    train(configs.changed(config, {"train.init_from": start}), tmp_path / "new")
    assert "classes known: red" in capsys.readouterr().out
    bias = "head/class_scores/bias"
    assert_allclose(read_run(tmp_path / "new")[bias], old[bias][1:])
    changes = {"train.max_steps": 2, "train.init_from": str(tmp_path / "nowhere")}
    assert train(configs.changed(config, changes), tmp_path / "new")["steps"] == 2
    began = [line.get("init_from") for line in lines(tmp_path / "new", "start")]
    assert began == [start, None], "what a run began from is on record"
    assert "copied by class" not in capsys.readouterr().out

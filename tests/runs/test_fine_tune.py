"""Starting from another run's weights: what is reused, copied by class name, and new."""

import json

import numpy as np
import pytest
import tensorflow as tf
from training.tiny_run import lines, make_coco, tiny_config

from lhrcnn import config as configs
from lhrcnn.errors import ConfigError
from lhrcnn.models.build import build_detector
from lhrcnn.runs import checkpoints, state
from lhrcnn.runs.fine_tune import init_from, read_run, rescale_outputs
from lhrcnn.training.trainer import train

OLD = ["cat", "dog", "bird"]


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
        arrays = {
            name: variable.numpy() + 1
            for name, variable in build(len(OLD), tuple(old_overrides)).named_variables().items()
        }
        stored = {f"model/{name}": array - 1 for name, array in arrays.items()} | {
            f"ema/{name}": array for name, array in arrays.items()
        }
        (tmp_path / "old").mkdir()
        (tmp_path / "old" / "classes.json").write_text(
            json.dumps({"names": OLD, "category_ids": [1, 2, 3]})
        )
        configs.save(small_config(*old_overrides), tmp_path / "old" / "config.yaml")
        checkpoints.CheckpointStore(tmp_path / "old").save(stored, {"step": 5})
        detector = build(len(names), tuple(overrides))
        before = {name: variable.numpy() for name, variable in detector.named_variables().items()}
        lines = init_from(detector, names, tmp_path / "old")
        return (
            arrays,
            before,
            {name: variable.numpy() for name, variable in detector.named_variables().items()},
            "\n".join(lines),
        )

    return run


def test_classes_are_copied_by_name(start):
    old, before, after, said = start(["fish", "dog"])
    np.testing.assert_array_equal(
        after["backbone/stem/kernel"], old["backbone/stem/kernel"], "averaged weights win"
    )
    np.testing.assert_array_equal(after["rpn/box/bias"], old["rpn/box/bias"])
    scores, boxes = "head/class_scores/kernel", "head/class_boxes/kernel"
    np.testing.assert_array_equal(
        after[scores][:, 1:], old[scores][:, [1, 3]], "dog and background"
    )
    np.testing.assert_array_equal(after[scores][:, 0], before[scores][:, 0])
    np.testing.assert_array_equal(
        after[boxes], np.concatenate([before[boxes][:, :4], old[boxes][:, 4:8]], 1)
    )
    np.testing.assert_array_equal(
        after["head/class_boxes/bias"][4:], old["head/class_boxes/bias"][4:8]
    )
    assert f"{len(after) - 4} variables reused, 4 copied by class, 0 new" in said
    assert (
        "copied by class: head/class_scores/kernel" in said
        and "classes known: dog" in said
        and "classes new: fish" in said
    )


def test_same_number_of_classes_in_another_order(start):
    old, _, after, said = start(["bird", "cat", "dog"])
    np.testing.assert_array_equal(
        after["head/class_scores/bias"], old["head/class_scores/bias"][[2, 0, 1, 3]]
    )
    assert "classes new" not in said


def test_one_box_for_all_classes_is_copied_whole(start):
    agnostic = ["model.head.class_agnostic=true"]
    old, _, after, _ = start(["fish", "dog"], agnostic, agnostic)
    np.testing.assert_array_equal(after["head/class_boxes/kernel"], old["head/class_boxes/kernel"])


def test_cells_of_locnet_are_copied_by_class(start):
    options = [
        "model.head.localisation=in_out",
        "model.locnet.channels=4",
        "model.locnet.pool_size=2",
    ]
    old, _, after, _ = start(["dog", "fish"], options, options)
    np.testing.assert_array_equal(
        after["head/locnet/rows/bias"][:28],
        old["head/locnet/rows/bias"][28 * OLD.index("dog") :][:28],
    )


def test_position_sensitive_maps_hold_the_classes_of_every_bin(start):
    rfcn = ["model.head.kind=rfcn"]
    old, before, after, _ = start(["fish", "dog"], rfcn, rfcn)
    name = "head/class_map/bias"
    np.testing.assert_array_equal(
        after[name].reshape(9, 3)[:, 1:], old[name].reshape(9, 4)[:, [1, 3]]
    )
    np.testing.assert_array_equal(after[name].reshape(9, 3)[:, 0], before[name].reshape(9, 3)[:, 0])


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
    folder = tmp_path / "old"
    checkpoints.CheckpointStore(folder).save(state.model_arrays(first), {"step": 5})
    configs.save(small_config(*shared, *old), folder / "config.yaml")
    (folder / "classes.json").write_text(json.dumps({"names": OLD, "category_ids": [1, 2, 3]}))
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
    np.testing.assert_allclose(localised(second), localised(first)[:, :, order], atol=1e-3)


def test_means_of_targets_do_not_go_into_position_sensitive_maps(tmp_path, small_config):
    rfcn = ["model.head.kind=rfcn"]
    first = build_detector(small_config(*rfcn, *MEASURED), 3)
    first.head.targets.mean.assign(np.full(12, 0.1))
    checkpoints.CheckpointStore(tmp_path).save(state.model_arrays(first), {"step": 5})
    configs.save(small_config(*rfcn, *MEASURED), tmp_path / "config.yaml")
    (tmp_path / "classes.json").write_text(json.dumps({"names": OLD, "category_ids": [1, 2, 3]}))
    with pytest.raises(ConfigError, match="'model.head.target_statistics'.*cannot be used exactly"):
        init_from(build_detector(small_config(*rfcn), 3), OLD, tmp_path)


def test_other_shapes_start_anew_and_are_named(start):
    old, before, after, said = start(["dog", "cat"], ["model.head.fc_channels=8"])
    np.testing.assert_array_equal(after["rpn/conv/kernel"], old["rpn/conv/kernel"])
    for name in ("head/class_scores/kernel", "head/fc/kernel"):
        np.testing.assert_array_equal(after[name], before[name])
        assert name in said.split("variables new: ")[1]


def test_another_model_or_no_run_is_an_error(tmp_path, small_config, start):
    with pytest.raises(FileNotFoundError, match="nowhere: not a run directory"):
        init_from(build_detector(small_config(), 2), ["dog"], tmp_path / "nowhere")
    (tmp_path / "classes.json").write_text('{"names": ["dog"], "category_ids": [1]}')
    configs.save(small_config(), tmp_path / "config.yaml")
    checkpoints.CheckpointStore(tmp_path).save({"model/other": np.zeros(3)}, {"step": 1})
    with pytest.raises(ValueError, match="none of its 1 weights fits this model"):
        init_from(build_detector(small_config(), 2), ["dog"], tmp_path)


def test_training_starts_there_and_a_resumed_run_does_not(tmp_path, capsys):
    data = make_coco(tmp_path / "coco", num_train=4, num_val=2)
    config = tiny_config(
        data, "data.val_split=", "train.max_steps=1", "data.classes=[red]", "train.learning_rate=0"
    )
    old = {
        name: variable.numpy() + 1
        for name, variable in build_detector(config, 2).named_variables().items()
    }
    checkpoints.CheckpointStore(tmp_path / "old").save(
        {f"model/{name}": array for name, array in old.items()}, {"step": 5}
    )
    (tmp_path / "old" / "classes.json").write_text(
        '{"names": ["green", "red"], "category_ids": [1, 2]}'
    )
    configs.save(config, tmp_path / "old" / "config.yaml")
    train(config, tmp_path / "new", init_from=str(tmp_path / "old"))
    assert "classes known: red" in capsys.readouterr().out
    np.testing.assert_allclose(
        read_run(tmp_path / "new")["head/class_scores/bias"], old["head/class_scores/bias"][1:]
    )
    config = configs.changed(config, {"train.max_steps": 2})
    assert train(config, tmp_path / "new", init_from=str(tmp_path / "nowhere"))["steps"] == 2
    assert [line.get("init_from") for line in lines(tmp_path / "new", "start")] == [
        str(tmp_path / "old"),
        None,
    ], "what a run began from is on record"
    assert "copied by class" not in capsys.readouterr().out

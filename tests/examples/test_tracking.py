"""examples/tracking.py with modules that stand in for MLflow and Weights & Biases."""

import pathlib
import sys
import types

import numpy as np
import pytest

import lhrcnn
from lhrcnn.keras import keras
from lhrcnn.training.callbacks import UserCallbacks

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"


class Recorder(types.ModuleType):
    """Notes what is called, as (name, arguments, keyword arguments); wandb's run is itself."""

    def __init__(self, name):
        super().__init__(name)
        self.calls = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def note(*arguments, **more):
            self.calls.append((name, arguments, more))
            return self

        return note


def test_both_hear_of_losses_and_scores(monkeypatch):
    mlflow, wandb = Recorder("mlflow"), Recorder("wandb")
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.syspath_prepend(EXAMPLES)
    import tracking

    config = lhrcnn.config.load(None, ["train.max_steps=6"])
    callbacks = [tracking.MLflow(config, every=2), tracking.WandB(config, "mine", every=3)]
    users = UserCallbacks(callbacks)
    users.begin(keras.Sequential(), 6, 3)
    with users:  # as a training calls it
        for step in range(1, 7):
            users.calls.on_train_batch_begin(step)
            users.calls.on_train_batch_end(step, {"loss": np.float32(1 / step)})
            if step >= 5:
                users.calls.on_test_begin()
                users.calls.on_test_end({"coco/AP": 0.25})
    sys.modules.pop("tracking")

    names = [name for name, *_ in mlflow.calls]
    assert names == ["start_run", "log_params", *["log_metrics"] * 5, "end_run"]
    options = mlflow.calls[1][1][0]
    assert options["train.max_steps"] == "6" and options["model.head.kind"] == "light"
    logged = [(more["step"], arguments[0]) for _, arguments, more in mlflow.calls[2:-1]]
    assert logged == [
        (2, {"train/loss": 0.5}),
        (4, {"train/loss": 0.25}),
        (5, {"validation/coco/AP": 0.25}),
        (6, {"train/loss": pytest.approx(1 / 6)}),
        (6, {"validation/coco/AP": 0.25}),
    ]

    names = [name for name, *_ in wandb.calls]
    assert names == ["init", "log", "log", "log", "log", "finish"]
    assert wandb.calls[0][2]["project"] == "mine"
    assert [more["step"] for _, _, more in wandb.calls[1:-1]] == [3, 5, 6, 6]

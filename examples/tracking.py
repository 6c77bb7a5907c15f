"""A training's numbers in MLflow or Weights & Biases: ordinary callbacks of the Python API.

    import lhrcnn
    from tracking import MLflow, WandB      # the folder of this file on sys.path

    config = lhrcnn.load_config("light_head_mobilenet_v2_voc07_144")
    lhrcnn.train(config, data="VOCdevkit", run_dir="runs/voc", callbacks=[MLflow(config)])

`pip install mlflow` or `pip install wandb`; lhrcnn needs neither. Tried with MLflow 3.17, which
takes its folder `mlruns` only with MLFLOW_ALLOW_FILE_STORE=true, else a database or a server.
"""

import dataclasses

from lhrcnn.keras import keras


class _Tracker(keras.callbacks.Callback):
    """Hands the losses of every n-th step, and the scores of each validation, to `log`."""

    def __init__(self, config, every=20):
        """`config` is what is trained, told as the run's parameters."""
        super().__init__()
        self.options = flat(dataclasses.asdict(config))
        self.every, self.step = every, 0

    def on_train_batch_end(self, batch, logs=None):
        self.step = batch  # counted from 1
        if self.step % self.every == 0:
            self.log({f"train/{name}": float(value) for name, value in logs.items()})

    def on_test_end(self, logs=None):
        self.log({f"validation/{name}": float(value) for name, value in logs.items()})


class MLflow(_Tracker):
    """A run of MLflow, in the experiment that is set."""

    def on_train_begin(self, logs=None):
        import mlflow

        self.mlflow = mlflow
        mlflow.start_run()
        # MLflow takes at most 6,000 characters for a parameter.
        mlflow.log_params({name: str(value)[:6000] for name, value in self.options.items()})

    def log(self, numbers):
        """Numbers by name."""
        self.mlflow.log_metrics(numbers, step=self.step)

    def on_train_end(self, logs=None):
        self.mlflow.end_run()


class WandB(_Tracker):
    """A run of Weights & Biases, of `project`."""

    def __init__(self, config, project="lhrcnn", every=20):
        super().__init__(config, every)
        self.project = project

    def on_train_begin(self, logs=None):
        import wandb

        self.run = wandb.init(project=self.project, config=self.options)

    def log(self, numbers):
        """Numbers by name."""
        self.run.log(numbers, step=self.step)

    def on_train_end(self, logs=None):
        self.run.finish()


def flat(options, prefix=""):
    """{dotted name: value} of a dict of dicts."""
    found = {}
    for name, value in options.items():
        if isinstance(value, dict) and value:
            found.update(flat(value, f"{prefix}{name}."))
        else:
            found[prefix + name] = value
    return found

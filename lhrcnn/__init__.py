"""lhrcnn: two-stage object detection in TensorFlow 2."""

import importlib

__version__ = "0.1.0"
# Imported on first use, so that `lhrcnn --help` does not wait for TensorFlow.
_PUBLIC = {
    "Detector": "lhrcnn.inference.predictor",
    "load_config": "lhrcnn.api",
    "open_dataset": "lhrcnn.api",
    "train": "lhrcnn.api",
    "evaluate": "lhrcnn.api",
    "export": "lhrcnn.api",
    "BACKBONES": "lhrcnn.models.backbones",
    "EXTRACTORS": "lhrcnn.models.extractors",
    "HEADS": "lhrcnn.models.heads",
    "READERS": "lhrcnn.data.readers",
    "TRANSFORMS": "lhrcnn.data.transforms",
    "METRICS": "lhrcnn.evaluation.metrics",
    "EXPORTS": "lhrcnn.inference.export",
    "OPTIMIZERS": "lhrcnn.training",
    "SCHEDULES": "lhrcnn.training",
}
__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'lhrcnn' has no attribute '{name}'")


def __dir__():
    return sorted([*globals(), *_PUBLIC])

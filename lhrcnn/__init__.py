"""lhrcnn: two-stage object detection in TensorFlow 2."""

__version__ = "0.1.0"
__all__ = ["Detector", "__version__"]


def __getattr__(name):
    if (
        name == "Detector"
    ):  # imported on first use, so that `lhrcnn --help` does not wait for TensorFlow
        from lhrcnn.inference.predictor import Detector

        return Detector
    raise AttributeError(f"module 'lhrcnn' has no attribute '{name}'")

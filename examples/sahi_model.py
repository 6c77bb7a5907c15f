r"""lhrcnn under SAHI, which slices large images and merges what is found (`pip install sahi`).

    from sahi.predict import get_sliced_prediction
    from sahi_model import LhrcnnModel

    model = LhrcnnModel(model_path="runs/mine", confidence_threshold=0.4, device="cpu")
    result = get_sliced_prediction("large.jpg", model, slice_height=640, slice_width=640)

`lhrcnn predict --tiles 640` does the same without SAHI.
"""

from sahi.models.base import DetectionModel
from sahi.prediction import ObjectPrediction

import lhrcnn


class LhrcnnModel(DetectionModel):
    """A SAHI model; `model_path` is a run directory, or a name of `lhrcnn zoo`."""

    required_packages = ["lhrcnn"]

    def set_device(self, device=None):
        """TensorFlow places the network itself."""
        self.device = device

    def load_model(self):
        """Loads the run."""
        self.set_model(lhrcnn.Detector.from_run(self.model_path))

    def set_model(self, model, **_):
        """model: an lhrcnn.Detector."""
        self.model = model
        self.category_mapping = {str(k): name for k, name in enumerate(model.class_names)}

    def perform_inference(self, image):
        """image: uint8 RGB [height, width, 3]."""
        self._original_predictions = [self.model.predict(image)]

    def perform_batch_inference(self, images):
        """images: a list of such arrays; those of one size run together."""
        self._original_predictions = self.model.predict_batch(images)

    def _create_object_prediction_list_from_original_predictions(
        self, shift_amount_list=None, full_shape_list=None
    ):
        found = self._original_predictions
        shifts = _for_each(shift_amount_list or [0, 0], found)
        shapes = _for_each(full_shape_list, found)
        self._object_prediction_list_per_image = [
            [
                ObjectPrediction(
                    bbox=[xmin, ymin, xmax, ymax],
                    category_id=int(k),
                    category_name=name,
                    score=float(score),
                    shift_amount=list(shift),
                    full_shape=shape,
                )
                for (ymin, xmin, ymax, xmax), k, name, score in zip(
                    one.boxes.tolist(), one.classes, one.names, one.scores
                )
                if score >= self.confidence_threshold
            ]
            for one, shift, shape in zip(found, shifts, shapes)
        ]


def _for_each(value, found):
    """A value for each image, from one for all or a list of them."""
    given = value is not None and isinstance(value[0], (list, tuple))
    return value if given else [value] * len(found)

"""What is found in one image.

Shape letters: D detections, K foreground classes.
"""

import dataclasses
import importlib
import json

import numpy as np

from lhrcnn.errors import DependencyError


@dataclasses.dataclass
class Prediction:
    """The detections of one image, best first."""

    boxes: np.ndarray  # [D, 4] float32 (ymin, xmin, ymax, xmax), px of the image as shown
    scores: np.ndarray  # [D] float32
    classes: np.ndarray  # [D] int32, 0...K-1
    names: list[str]  # D class names
    category_ids: list[int]  # D ids of the classes in the training set's files
    size: tuple[int, int]  # height and width of the image, px

    def __len__(self):
        return len(self.scores)

    def above(self, score):
        """The detections with at least this score."""
        keep = np.flatnonzero(self.scores >= score)
        return Prediction(
            self.boxes[keep],
            self.scores[keep],
            self.classes[keep],
            [self.names[k] for k in keep],
            [self.category_ids[k] for k in keep],
            self.size,
        )

    def to_coco(self, image_id):
        """COCO's result format, `bbox` as [x, y, width, height] px, with the class name added as
        `category`."""
        columns = zip(self.boxes.tolist(), self.scores.tolist(), self.category_ids, self.names)
        return [coco_result(image_id, *column) for column in columns]

    def to_json(self):
        """The detections as JSON text.

        {"height", "width", "detections": [{"box": [ymin, xmin, ymax, xmax], "score", "class",
        "name"}]}."""
        detections = [
            {"box": box, "score": score, "class": k, "name": name}
            for box, score, k, name in zip(
                self.boxes.tolist(), self.scores.tolist(), self.classes.tolist(), self.names
            )
        ]
        return json.dumps(
            {"height": self.size[0], "width": self.size[1], "detections": detections},
            ensure_ascii=False,
        )

    def to_supervision(self):
        """supervision's `Detections`, with the class names as its data `class_name`.

        Raises DependencyError where it is not installed."""
        supervision = _package("supervision")
        return supervision.Detections(
            xyxy=self.boxes[:, [1, 0, 3, 2]].astype(np.float32),
            confidence=self.scores.astype(np.float32),
            class_id=self.classes.astype(int),
            data={"class_name": np.array(self.names, dtype=str)},
        )

    def to_pandas(self):
        """A pandas DataFrame, a row per detection: name, class, score, xmin, ymin, xmax, ymax.

        Raises DependencyError where it is not installed."""
        columns = {"name": self.names, "class": self.classes, "score": self.scores}
        corners = zip(("ymin", "xmin", "ymax", "xmax"), self.boxes.T)
        frame = _package("pandas").DataFrame({**columns, **dict(corners)})
        return frame[[*columns, "xmin", "ymin", "xmax", "ymax"]]

    def to_fiftyone(self):
        """FiftyOne's `Detections`, whose boxes are shares of the image.

        Raises DependencyError where it is not installed."""
        fiftyone, (height, width) = _package("fiftyone"), self.size
        detections = []
        for name, score, box in zip(self.names, self.scores.tolist(), self.boxes.tolist()):
            ymin, xmin, ymax, xmax = box
            share = [xmin / width, ymin / height, (xmax - xmin) / width, (ymax - ymin) / height]
            found = fiftyone.Detection(label=name, confidence=score, bounding_box=share)
            detections.append(found)
        return fiftyone.Detections(detections=detections)


def named(detector, boxes, scores, classes, size):
    """The `Prediction` of what a detector found, by its names and ids of the classes."""
    names, ids = detector.class_names, detector.category_ids
    return Prediction(
        boxes, scores, classes, [names[k] for k in classes], [ids[k] for k in classes], size
    )


def _package(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DependencyError(f"{name} cannot be imported: {error}; pip install {name}") from None


def coco_result(image_id, box, score, category_id, name):
    """An entry of COCO's result format, with the class name added; box: ymin, xmin, ymax, xmax in
    px."""
    ymin, xmin, ymax, xmax = box
    return {
        "image_id": image_id,
        "category_id": category_id,
        "category": name,
        "score": score,
        "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
    }

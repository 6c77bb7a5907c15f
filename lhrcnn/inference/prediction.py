"""What is found in one image.

Shape letters: D detections, K foreground classes.
"""

import dataclasses
import json

import numpy as np


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
        return [
            {
                "image_id": image_id,
                "category_id": category_id,
                "category": name,
                "score": score,
                "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
            }
            for (ymin, xmin, ymax, xmax), score, category_id, name in columns
        ]

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

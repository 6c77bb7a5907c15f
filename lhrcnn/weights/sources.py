"""The foreign checkpoints that can be converted, by name."""

from lhrcnn.weights import chenyuntc, keras_applications, mmdet, tf_slim, torchvision

SOURCES = {
    "mmdet": mmdet.describe,
    "torchvision": torchvision.describe,
    "chenyuntc": chenyuntc.describe,
    "tf-slim": tf_slim.describe,
    "keras": keras_applications.describe,
}

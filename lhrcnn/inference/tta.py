"""Detectors made of detectors: images at several scales, mirrored images, several models (arXiv
1512.03385, appendix B).

Each offers what testing uses of TwoStageDetector: `regions`, `localise`, `candidates`, `select`,
`detect`, `counts`, `named_variables`. Images come at the largest of the scales; all boxes are in
its px.
Shape letters: B images, N boxes, K foreground classes, L boxes per proposal (K or 1), F features,
S scales.
"""

import dataclasses

import tensorflow as tf

from lhrcnn import boxes as box_ops
from lhrcnn.data.images import evaluation_short_side
from lhrcnn.errors import ConfigError
from lhrcnn.models.detector import TwoStageDetector
from lhrcnn.models.nms import Candidates


class _Combination(tf.Module):
    """What they share: one detector's part, unless a class defines its own."""

    def __init__(self, detector, times=1):
        """`times` as many candidates as the detector's go into NMS."""
        super().__init__()
        self.detector = detector
        self.postprocess = dataclasses.replace(
            detector.postprocess, pre_nms=detector.postprocess.pre_nms * times
        )

    candidates, select = TwoStageDetector.candidates, TwoStageDetector.select
    detect, counts = TwoStageDetector.detect, TwoStageDetector.counts

    def named_variables(self):
        """{name: variable} of everything that is stored."""
        return self.detector.named_variables()


class Maxout(_Combination):
    """Each box is pooled at two adjacent scales, and the maximum of its features is scored;
    proposals are of the usual scale."""

    def __init__(self, detector, scales, roi_side, pad_multiple):
        """`detector` is a TwoStageDetector; roi_side px is what a box's side should be close to.

        The rest is as in TestConfig and DataConfig."""
        super().__init__(detector)
        if not hasattr(detector.head, "features"):
            raise ConfigError(
                "'test.merge: maxout' merges the features of a box, which this head "
                f"({type(detector.head).__name__}) does not offer; set test.merge=detections"
            )
        self.scales, self.roi_side, self.pad_multiple = sorted(scales), roi_side, pad_multiple

    def regions(self, image, image_size, proposals=None):
        """As of TwoStageDetector; backbone maps are computed once a scale."""
        prepared, given = [], proposals is not None
        usual = min(self.scales, key=lambda scale: abs(scale - 1))
        for scale in self.scales:
            scaled, size, factor = _rescaled(
                image, image_size, scale / self.scales[-1], self.pad_multiple
            )
            maps = self.detector.backbone(self.detector.preprocess(scaled, size), training=False)
            if scale == usual and not given:
                own = self.detector.rpn.propose(self.detector.rpn(maps), size, training=False)
                proposals = own / factor
            prepared.append((self.detector.head.prepare(maps, size), factor))
        return prepared, proposals

    def localise(self, prepared, boxes, image_size):
        """As of TwoStageDetector.

        Each scale computes the features of the boxes that chose it and of no others, but for
        padding where the images of a batch differ in how many do."""
        head, lower, merged = self.detector.head, self._lower_scale(boxes), None
        rows = tf.range(tf.shape(boxes)[0])[:, None]
        for index, (own, factor) in enumerate(prepared):
            wanted = tf.cast((lower == index) | (lower == index - 1), tf.int32)
            number = tf.maximum(tf.reduce_max(tf.reduce_sum(wanted, 1)), 1)
            is_wanted, place = tf.math.top_k(wanted, number)
            features = head.features(own, tf.gather(boxes, place, batch_dims=1) * factor)
            features = tf.where(is_wanted[..., None] > 0, features, features.dtype.min)
            if merged is None:
                shape = [*tf.unstack(tf.shape(boxes)[:2]), features.shape[-1]]
                merged = tf.fill(shape, features.dtype.min)
            places = tf.stack([rows + tf.zeros_like(place), place], -1)
            merged = tf.tensor_scatter_nd_max(merged, places, features)
        return head.decode(*head.outputs(merged), boxes, image_size)

    def _lower_scale(self, boxes):
        """Index [B, N] of the smaller of the two adjacent scales of each box [B, N, 4]."""
        sides = tf.sqrt(tf.maximum(box_ops.area(boxes), 1e-6))[..., None]
        sides = sides * tf.constant(self.scales) / self.scales[-1]
        distances = tf.abs(tf.math.log(sides / self.roi_side))  # [B, N, S]
        return tf.argmin(distances[..., :-1] + distances[..., 1:], -1, output_type=tf.int32)


class MergedViews(_Combination):
    """The candidates of all scales, and of the mirrored image, go through NMS together."""

    def __init__(self, detector, scales, flip, pad_multiple):
        """`detector` is any here or a TwoStageDetector; the rest as in TestConfig, DataConfig."""
        super().__init__(detector)
        self.scales, self.flip, self.pad_multiple = scales, flip, pad_multiple

    def candidates(self, image, image_size, proposals=None):
        """As of TwoStageDetector, with those of all views."""

        def mirrored(boxes):
            return box_ops.mirror(boxes, image_size[:, 1, None])

        views = []
        for flipped in (False, True) if self.flip else (False,):
            view = _mirrored(image, image_size) if flipped else image
            for scale in self.scales:
                scaled, size, factor = _rescaled(
                    view, image_size, scale / max(self.scales), self.pad_multiple
                )
                given = proposals
                if given is not None:
                    given = (mirrored(given) if flipped else given) * factor
                found = self.detector.candidates(scaled, size, given)
                boxes = found.boxes / factor
                views.append(found._replace(boxes=mirrored(boxes) if flipped else boxes))
        return Candidates(*(tf.concat(values, 1) for values in zip(*views)))


class Ensemble(_Combination):
    """Several models: their proposals are united, and each box gets the mean of their scores and
    boxes."""

    def __init__(self, detectors):
        """`detectors` are TwoStageDetectors or Maxouts of the same classes that take the same
        images; the first one's NMS counts."""
        super().__init__(detectors[0], len(detectors))
        self.detectors = detectors

    def named_variables(self):
        """{number of the model / name: variable}."""
        return {
            f"{i}/{name}": variable
            for i, detector in enumerate(self.detectors)
            for name, variable in detector.named_variables().items()
        }

    def regions(self, image, image_size, proposals=None):
        """As of TwoStageDetector, with the proposals of all models."""
        prepared, found = zip(
            *(detector.regions(image, image_size, proposals) for detector in self.detectors)
        )
        return prepared, tf.concat(found, 1) if proposals is None else proposals

    def localise(self, prepared, boxes, image_size):
        """As of TwoStageDetector."""
        pairs = zip(self.detectors, prepared)
        found = [detector.localise(own, boxes, image_size) for detector, own in pairs]
        # One box for all classes spreads to those of the others.
        return tuple(sum(values) / len(found) for values in zip(*found))


def for_testing(models, config):
    """(detector, DataConfig of the images it takes) of TwoStageDetectors, several being an
    ensemble, as config.test asks."""
    test, multiple = config.test, 1 if config.data.resize == "stretch" else config.data.pad_multiple
    scales = test.scales
    if test.merge == "maxout" and len(scales) > 1:
        models, scales = [Maxout(model, scales, test.roi_side, multiple) for model in models], [1.0]
    model = models[0] if len(models) == 1 else Ensemble(models)
    if len(scales) > 1 or test.flip:
        model = MergedViews(model, scales, test.flip, multiple)
    return model, _at_scale(config.data, max(test.scales))


def _at_scale(data_config, scale):
    """The DataConfig that prepares images for testing at `scale` times their usual size."""
    if scale == 1:
        return data_config
    return dataclasses.replace(
        data_config,
        test_short_side=round(evaluation_short_side(data_config) * scale),
        long_side=round(data_config.long_side * scale),
        stretch_size=[round(side * scale) for side in data_config.stretch_size],
    )


def _rescaled(image, image_size, share, pad_multiple):
    """Images shrunk to a share of their size.

    (images [B, h, w, 3], valid sizes [B, 2], their px per px of the given ones [4])."""
    if share == 1:
        return image, image_size, tf.ones([4])
    canvas = tf.shape(image)[1:3]
    size = tf.maximum(tf.cast(tf.round(tf.cast(canvas, tf.float32) * share), tf.int32), 1)
    factor = tf.cast(size, tf.float32) / tf.cast(canvas, tf.float32)
    bottom, right = tf.unstack(-size % pad_multiple)
    resized = tf.image.resize(image, size, antialias=True)
    scaled = tf.pad(resized, [[0, 0], [0, bottom], [0, right], [0, 0]])
    return scaled, image_size * factor, tf.tile(factor, [2])


def _mirrored(image, image_size):
    """The images [B, H, W, 3] mirrored left-right within their valid sizes [B, 2]."""
    return tf.reverse_sequence(image, tf.cast(image_size[:, 1], tf.int32), seq_axis=2, batch_axis=0)

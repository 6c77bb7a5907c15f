"""Options of a detector that runs in milliseconds."""

TINY = [
    "model.backbone.width=0.25",
    "model.rpn.channels=16",
    "model.rpn.anchor_scales=[16, 32, 64]",
    "model.rpn.pre_nms_train=100",
    "model.rpn.post_nms_train=20",
    "model.rpn.pre_nms_test=100",
    "model.rpn.post_nms_test=20",
    "model.rpn.batch_per_image=32",
    "model.head.kernel_size=5",
    "model.head.mid_channels=8",
    "model.head.thin_channels=2",
    "model.head.pool_size=3",
    "model.head.fc_channels=16",
    "model.head.batch_per_image=16",
    "model.postprocess.max_detections=10",
    "data.resize=stretch",
    "data.stretch_size=[64, 64]",
    "train.batch_size=4",
    "eval.batch_size=4",
]

# The same with the backbone whose graph is the smallest, for tests of whole commands.
TINY_RUN = [*TINY, "model.backbone.name=vgg16"]

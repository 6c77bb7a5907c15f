"""Options: what there are (`schema`), how they are read and written (`load`), what they have to do
with each other (`rules`), what they mean (`describe`), and modules of the user (`plugins`)."""

from lhrcnn.config.describe import describe, flat, markdown
from lhrcnn.config.load import changed, dump, load, save, stage
from lhrcnn.config.schema import (
    PRECISIONS,
    BackboneConfig,
    Config,
    DataConfig,
    EvalConfig,
    FPNConfig,
    HeadConfig,
    LocNetConfig,
    ModelConfig,
    PostprocessConfig,
    PretrainConfig,
    RPNConfig,
    TestConfig,
    TrainConfig,
)

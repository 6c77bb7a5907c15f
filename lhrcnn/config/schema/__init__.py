"""Every option of lhrcnn: typed dataclasses that are their own documentation."""

import dataclasses

from lhrcnn.config.schema.backbone import BackboneConfig, FPNConfig
from lhrcnn.config.schema.data import DataConfig
from lhrcnn.config.schema.head import HeadConfig, LocNetConfig, PostprocessConfig
from lhrcnn.config.schema.option import PRECISIONS, allowance, allowed, option, within
from lhrcnn.config.schema.rpn import RPNConfig
from lhrcnn.config.schema.testing import EvalConfig, TestConfig
from lhrcnn.config.schema.training import PretrainConfig, TrainConfig


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The detector."""

    backbone: BackboneConfig = dataclasses.field(default_factory=BackboneConfig)
    fpn: FPNConfig = dataclasses.field(default_factory=FPNConfig)
    rpn: RPNConfig = dataclasses.field(default_factory=RPNConfig)
    head: HeadConfig = dataclasses.field(default_factory=HeadConfig)
    locnet: LocNetConfig = dataclasses.field(default_factory=LocNetConfig)
    postprocess: PostprocessConfig = dataclasses.field(default_factory=PostprocessConfig)


@dataclasses.dataclass(frozen=True)
class Config:
    """A whole experiment."""

    plugins: list[str] = option(
        [],
        "modules or .py files of your own, imported before the options are checked; they put "
        "entries into the dicts of what can be chosen",
    )
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    pretrain: PretrainConfig = dataclasses.field(default_factory=PretrainConfig)
    eval: EvalConfig = dataclasses.field(default_factory=EvalConfig)
    test: TestConfig = dataclasses.field(default_factory=TestConfig)

"""Training: schedule, optimizer, weight average, logs and the loop that holds them together.

OPTIMIZERS and SCHEDULES are what `train.optimizer` and `train.schedule` name; a plugin adds to
them:
    OPTIMIZERS["name"] = function(train, learning_rate, variables, kernels) -> a Keras optimizer
        with its state created for the variables, of which `kernels` decay; `learning_rate` is a
        schedule of the step
    SCHEDULES["name"] = function(train, steps_per_epoch, total_steps) -> function of the step
        ([] float32, from 0), the share of the peak that the learning rate then has
`train` is the TrainConfig. An optimizer with a `weight_decay` of its own decays weights itself;
for others L2 is part of the loss.
"""

OPTIMIZERS = {
    "sgd": "lhrcnn.training.optimizers:sgd",
    "sgdw": "lhrcnn.training.optimizers:sgdw",
    "adamw": "lhrcnn.training.optimizers:adamw",
}
SCHEDULES = {
    "step": "lhrcnn.training.schedules:step_decay",
    "cosine": "lhrcnn.training.schedules:cosine_decay",
}

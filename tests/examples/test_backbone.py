"""examples/backbone.py works wherever a backbone of the package does."""


def test_it_works_everywhere(work_with):
    detector = work_with(
        "backbone.py",
        "model.backbone.name=plain",
        "model.backbone.options={channels: 4}",
        "model.backbone.frozen_stages=2",
        "train.gradient_multipliers={backbone/c3: 0.5}",
    )
    variables = detector.model.named_variables()
    assert variables["backbone/c3/kernel"].shape == [3, 3, 8, 16]
    trained = {variable.ref() for variable in detector.model.trainable_variables}
    frozen = [name for name, variable in variables.items() if variable.ref() not in trained]
    assert set(frozen) == {f"backbone/c{i}/{role}" for i in (1, 2) for role in ("kernel", "bias")}

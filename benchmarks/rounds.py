"""What every further round of localisation is worth to a trained run: its metrics and ms per image
for one to --most of them.

    python benchmarks/rounds.py --run_dir RUN [--data_dir DATA] [--split SPLIT] [--most 4] \\
        [--candidates 300] [--nms_iou 0.3] [--vote_iou 0.5]

One pass over the images serves all but the first row, since what the first rounds find is a part
of what all find. The first row is one round with the NMS and voting of the run's config. Metrics
are those of its config, times those of one image by itself.
"""

import functools

import measure


def main():
    arguments = measure.parse(
        __doc__,
        rounds=10,
        run_dir="",
        data_dir="",
        split="",
        most=4,
        candidates=300,
        nms_iou=0.3,
        vote_iou=0.5,
    )
    import tensorflow as tf

    from lhrcnn.commands import dataset_of_run
    from lhrcnn.data.batches.pipeline import evaluation_batches
    from lhrcnn.evaluation.detect import detect_dataset, on_disk, results_of
    from lhrcnn.evaluation.detections import concatenate
    from lhrcnn.evaluation.scoring import score
    from lhrcnn.evaluation.tables import summary
    from lhrcnn.inference.predictor import load_run

    report = measure.Report("Rounds of localisation", arguments)
    once = load_run(arguments.run_dir, overrides=["model.postprocess.rounds=1"])
    detectors, further = {1: once.model}, range(2, arguments.most + 1)
    for number in further:
        options = {
            "rounds": number,
            "candidates": arguments.candidates,
            "nms_iou": arguments.nms_iou,
            "vote_iou": arguments.vote_iou,
        }
        detectors[number] = load_run(
            arguments.run_dir,
            overrides=[f"model.postprocess.{key}={value}" for key, value in options.items()],
        ).model
    dataset, config, _ = dataset_of_run(once, arguments)

    def find(detector, batch):
        pool, found = detector.candidates(batch["image"], batch["image_size"]), {}
        for number in further:
            chosen = detector.select(
                type(pool)(*(values[:, : number * arguments.candidates] for values in pool))
            )
            found.update({f"{name}_{number}": values for name, values in chosen._asdict().items()})
        return found

    records = {record.image_id: record for record in dataset.records}
    parts = {number: [] for number in further}
    for results in results_of(detectors[arguments.most], find, dataset, config):
        for number, those in parts.items():
            those.append(
                on_disk(
                    {
                        **results,
                        **{
                            name: results[f"{name}_{number}"]
                            for name in ("boxes", "scores", "classes")
                        },
                    },
                    records,
                )
            )
    found = {
        1: detect_dataset(once.model, dataset, config),
        **{number: concatenate(those) for number, those in parts.items()},
    }

    image = next(iter(evaluation_batches(dataset, config.data, 1)))
    times = measure.by_turns(
        {
            number: measure.timed(
                tf.function(functools.partial(detector.detect, image["image"], image["image_size"]))
            )
            for number, detector in detectors.items()
        },
        arguments.rounds,
    )
    report.table(
        ("rounds", "metrics", "ms"),
        [
            (
                number,
                summary(score(dataset, detections, config.eval)),
                measure.median(times[number]),
            )
            for number, detections in found.items()
        ],
    )
    report.finish()


if __name__ == "__main__":
    main()

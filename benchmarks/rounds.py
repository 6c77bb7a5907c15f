"""What every further round of localisation is worth to a trained run: its metrics and ms a picture for one to --most of them.

    python benchmarks/rounds.py --run_dir RUN [--data_dir DATA] [--split SPLIT] [--most 4] [--candidates 300] [--nms_iou 0.3] [--vote_iou 0.5]

One pass over the pictures serves all but the first row, since what the first rounds find is a part of what all find. The first row is the
run as it is configured, without voting. Metrics are those of its config, times those of one picture by itself.
"""
import functools

import measure

COLUMNS = {"voc07": ("mAP", "mAP70", "mAP50_95"), "voc": ("mAP", "mAP70", "mAP50_95"), "coco": ("AP", "AP50", "AP75"),
           "deteval": ("recall", "precision", "hmean"), "icdar_iou": ("recall", "precision", "hmean"), "ilsvrc": ("mAP",)}


def main():
    arguments = measure.parse(__doc__, rounds=10, run_dir="", data_dir="", split="", most=4, candidates=300, nms_iou=0.3, vote_iou=0.5)
    import tensorflow as tf

    from lhrcnn.data import align_classes, open_dataset, pipeline
    from lhrcnn.evaluation.detections import concatenate
    from lhrcnn.evaluation.evaluate import detect_dataset, on_disk, results_of
    from lhrcnn.evaluation.scoring import score
    from lhrcnn.inference.predictor import load_run

    def load(*options):
        return load_run(arguments.run_dir, overrides=[f"data.dir={arguments.data_dir}"] * bool(arguments.data_dir) + list(options))

    report = measure.Report("Rounds of localisation", arguments)
    runs = {1: load()}
    for number in range(2, arguments.most + 1):
        runs[number] = load(f"model.postprocess.rounds={number}", f"model.postprocess.candidates={arguments.candidates}",
                            f"model.postprocess.nms_iou={arguments.nms_iou}", f"model.postprocess.vote_iou={arguments.vote_iou}")
    once, last = runs[1], runs[arguments.most]
    dataset = align_classes(open_dataset(once.config.data, arguments.split or once.config.data.test_split), once.class_names, once.category_ids)

    def find(detector, batch):
        pool, found = detector.candidates(batch["image"], batch["image_size"]), {}
        for number in range(2, arguments.most + 1):
            chosen = detector.select(pool._replace(**{name: values[:, :number * arguments.candidates] for name, values in pool._asdict().items()}))
            found.update({f"{name}_{number}": values for name, values in chosen._asdict().items()})
        return found

    records = {record.image_id: record for record in dataset.records}
    parts = {number: [] for number in range(2, arguments.most + 1)}
    for results in results_of(last.model, find, dataset, last.config):
        for number, those in parts.items():
            those.append(on_disk({**results, **{name: results[f"{name}_{number}"] for name in ("boxes", "scores", "classes")}}, records))
    found = {1: detect_dataset(once.model, dataset, once.config), **{number: concatenate(those) for number, those in parts.items()}}

    picture = next(iter(pipeline.evaluation_batches(dataset, once.config.data, 1)))
    cases = {number: measure.timed(tf.function(functools.partial(run.model.detect, picture["image"], picture["image_size"])))
             for number, run in runs.items()}
    times = measure.by_turns(cases, arguments.rounds)
    metrics = [name for name in once.config.eval.metrics if name in COLUMNS]
    rows = []
    for number, detections in found.items():
        scored = score(dataset, detections, metrics, text_score=once.config.eval.text_score)
        rows.append([number, *(scored[name][key] for name in metrics for key in COLUMNS[name]), measure.median(times[number])])
    report.table(["rounds", *(f"{name} {key}" for name in metrics for key in COLUMNS[name]), "ms"], rows)
    report.finish()


if __name__ == "__main__":
    main()

"""Training: what is padded, what is weighed, and that a killed run ends as an unbroken one."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import TrainerCallback

from fine_tuning.base_model import starting_model
from fine_tuning.checkpoints import checkpoint_dir_beside, checkpoint_to_resume
from fine_tuning.dispute_grammar import load_grammar
from fine_tuning.dispute_texts import dispute_texts
from fine_tuning.errors import FineTuningError
from fine_tuning.labelled_texts import LabelledText
from fine_tuning.length_groups import LengthGroupedSampler
from fine_tuning.problem_types import MultiLabel, Regression, SingleLabel
from fine_tuning.target_scale import TargetScale
from fine_tuning.training import mixed_precision, train_classifier
from fine_tuning.training_settings import TrainingSettings

EXAMPLES = list(dispute_texts(load_grammar(), 100, seed=5))
CHANCE = random.Random(7)  # noqa: S311 (steps and lengths, not secrets)
CLASSES = SingleLabel(tuple(sorted({example.label for example in EXAMPLES})))
SETTINGS = TrainingSettings(
    epochs=2,
    learning_rate=1e-3,
    batch_size=10,
    max_length=24,
    label_smoothing=0.1,
    token_dropout=0.3,
    checkpoint_steps=3,
)


class Killed(Exception):
    """Stands for a process that ends without warning."""


class KillAt(TrainerCallback):
    """Ends training after a step."""

    def __init__(self, step):
        self._step = step

    def on_step_begin(self, args, state, control, **_):
        if state.global_step == self._step:
            raise Killed


def trained(checkpoint_dir, callbacks=(), settings=SETTINGS):
    """A model trained on four fifths of the examples."""
    texts = [example.text for example in EXAMPLES]
    model, tokenizer = starting_model(None, CLASSES, texts, settings.seed)
    training, validation = EXAMPLES[:80], EXAMPLES[80:]
    train_classifier(
        *(model, tokenizer, training, validation, settings),
        checkpoint_dir=checkpoint_dir,
        run_digest="one run",
        callbacks=callbacks,
    )
    return model


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("unbroken"))


# There are 16 steps in all, 8 an epoch, and a checkpoint every third.
@pytest.mark.parametrize("step", CHANCE.sample(range(3, 16), 2))
def test_a_killed_run_goes_on_to_the_weights_of_an_unbroken_one(unbroken, tmp_path, step):
    """Dropout, hidden tokens, order and optimiser go on where the last checkpoint left them."""
    with pytest.raises(Killed):
        trained(tmp_path / "run", [KillAt(step)])
    assert checkpoint_to_resume(tmp_path / "run", "one run") is not None
    steps_after = StepsSeen()
    resumed = trained(tmp_path / "run", [steps_after])
    assert steps_after.first >= 3
    for name, weights in unbroken.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], weights, rtol=0, atol=1e-6)


class StepsSeen(TrainerCallback):
    """Remembers where training began."""

    first = None

    def on_step_begin(self, args, state, control, **_):
        if self.first is None:
            self.first = state.global_step


class KilledOnSaving(TrainerCallback):
    """Ends training right after the checkpoint of a step."""

    def __init__(self, step):
        self._step = step

    def on_save(self, args, state, control, **_):
        if state.global_step == self._step:
            raise Killed


class LastStep(TrainerCallback):
    """Remembers where training ended."""

    def on_train_end(self, args, state, control, **_):
        self.number = state.global_step


# The measure stands still, so the second and third epoch, of 8 steps each, are not better.
@pytest.mark.parametrize("kill", [None, KillAt(17), KilledOnSaving(24)], ids=type)
def test_a_killed_run_stops_as_early_as_an_unbroken_one(tmp_path, kill):
    """Epochs without improvement count on where the kill was, also after the last of them."""
    settings = replace(SETTINGS, epochs=6, learning_rate=1e-12, patience=2, checkpoint_steps=None)
    if kill:
        with pytest.raises(Killed):
            trained(tmp_path / "run", [kill], settings=settings)
    last_step = LastStep()
    trained(tmp_path / "run", [last_step], settings=settings)
    assert last_step.number == 24


class Cuda:
    """What torch.cuda tells of a GPU, or of none."""

    def __init__(self, is_there, computes_bf16):
        self._is_there = is_there
        self._computes_bf16 = computes_bf16

    def is_available(self):
        return self._is_there

    def is_bf16_supported(self, including_emulation=True):
        return self._computes_bf16 or including_emulation


@pytest.mark.parametrize(
    ("cuda", "precision"),
    [
        (Cuda(False, False), {"bf16": False, "fp16": False}),
        (Cuda(True, False), {"bf16": False, "fp16": True}),
        (Cuda(True, True), {"bf16": True, "fp16": False}),
    ],
    ids=["CPU", "T4", "A10G"],
)
def test_a_gpu_that_only_emulates_bfloat16_takes_float16(cuda, precision):
    """Each machine trains in what it computes fast."""
    assert mixed_precision(cuda) == precision


def test_checkpoints_of_another_run_are_refused(tmp_path):
    """Nothing is mixed: other data or settings need another folder."""
    checkpoint_to_resume(tmp_path / "run", "one digest")
    with pytest.raises(FineTuningError, match="checkpoints of a run with other data"):
        checkpoint_to_resume(tmp_path / "run", "another digest")


def test_checkpoints_lie_beside_the_folder_that_is_written(tmp_path, monkeypatch):
    """Also where that is the folder one stands in, which has no name as it is typed."""
    (tmp_path / "final").mkdir()
    monkeypatch.chdir(tmp_path / "final")
    assert checkpoint_dir_beside(Path()) == tmp_path / "final.checkpoints"


@pytest.mark.parametrize(
    "missing",
    ["model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"],
)
def test_half_a_checkpoint_is_passed_over(tmp_path, missing):
    """A kill while a checkpoint is written or copied leaves the one before."""
    with pytest.raises(Killed):
        trained(tmp_path, [KillAt(7)])
    assert checkpoint_to_resume(tmp_path, "one run").name == "checkpoint-6"
    (tmp_path / "checkpoint-6" / missing).unlink()
    assert checkpoint_to_resume(tmp_path, "one run").name == "checkpoint-3"


def test_batches_hold_texts_of_about_one_length():
    """Every row comes once, epochs differ, and padding is a small part of what is computed."""
    lengths = [int(CHANCE.lognormvariate(5, 0.8)) + 1 for _ in range(1003)]
    sampler = LengthGroupedSampler(lengths, batch_size=8, seed=1)
    first, again = list(sampler), list(sampler)
    sampler.set_epoch(1)
    assert sorted(first) == list(range(1003))
    assert first == again != list(sampler)
    batches = [first[start : start + 8] for start in range(0, 1003, 8)]
    padded = sum(len(batch) * max(lengths[place] for place in batch) for batch in batches)
    assert padded < 1.2 * sum(lengths)


@pytest.mark.parametrize("batches", [3, 8])
def test_batches_of_few_texts_differ_from_epoch_to_epoch(batches):
    """Sorted all together, the same texts would meet in every epoch."""
    sampler = LengthGroupedSampler(range(8 * batches), batch_size=8, seed=1)
    met = set()
    for epoch in range(3):
        sampler.set_epoch(epoch)
        places = list(sampler)
        met |= {frozenset(places[start : start + 8]) for start in range(0, len(places), 8)}
    assert len(met) == 3 * batches


def test_a_rare_class_weighs_as_much_as_a_common_one():
    """Nine of one and one of another: nine times the weight, and one on average."""
    problem = SingleLabel(("a", "b"))
    labels = ["a"] * 9 + ["b"]
    weights = problem.class_weights(labels)
    assert weights[1] / weights[0] == pytest.approx(9)
    assert weights[problem.targets(labels)].mean() == pytest.approx(1)


@pytest.mark.parametrize(
    ("problem", "often", "seldom"),
    [
        (SingleLabel(("often", "seldom")), "often", "seldom"),
        (MultiLabel(("often", "seldom")), ("often",), ("often", "seldom")),
    ],
    ids=lambda problem: getattr(problem, "name", ""),
)
def test_a_weight_does_not_make_a_rare_class_likelier(tmp_path, problem, often, seldom):
    """Of texts that tell nothing one in ten is of the rare class, and that is its score."""
    examples = [LabelledText("a letter", seldom if n % 10 == 0 else often) for n in range(100)]
    settings = TrainingSettings(epochs=8, learning_rate=1e-3, batch_size=10, patience=None)
    model, tokenizer = starting_model(None, problem, ["a letter"], settings.seed)
    train_classifier(
        *(model, tokenizer, examples, examples, settings),
        checkpoint_dir=tmp_path,
        run_digest="one run",
    )
    with torch.inference_mode():
        logits = model(**tokenizer("a letter", return_tensors="pt")).logits[0]
    assert float(problem.scores(logits)[1]) == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize("trainings", [1, 2], ids=["once", "from the folder of the first"])
def test_numbers_of_any_size_are_learnt(tmp_path, trainings):
    """Amounts around 50,000 are answered as such, though the network learns small numbers."""
    amounts = {"rent": 1_000.0, "bridge": 100_000.0}
    examples = [
        LabelledText(f"the {word} number {place}", amounts[word])
        for place in range(50)
        for word in amounts
    ]
    settings = TrainingSettings(epochs=8, learning_rate=1e-3, batch_size=8, max_length=24)
    texts = [example.text for example in examples]
    model, tokenizer = starting_model(None, Regression(("amount",)), texts, settings.seed)
    for number in range(trainings):
        train_classifier(
            *(model, tokenizer, examples[:80], examples[80:], settings),
            checkpoint_dir=tmp_path / str(number),
            run_digest="one run",
        )
    with torch.inference_mode():
        answers = [
            float(model(**tokenizer(f"the {word} number 7", return_tensors="pt")).logits)
            for word in amounts
        ]
    assert answers == pytest.approx(list(amounts.values()), abs=15_000)


def test_one_number_alone_cannot_be_learnt():
    """Where a split leaves such rows, there is no spread to bring the numbers to."""
    with pytest.raises(FineTuningError, match=r"All 3 texts to train on have the number 1\.5"):
        TargetScale.of([1.5] * 3)


def test_rare_labels_weigh_more_but_not_by_the_full_ratio():
    """One of ten: the square root of nine."""
    problem = MultiLabel(("often", "seldom"))
    labels = [("often",)] * 9 + [("often", "seldom")]
    assert problem.class_weights(labels)[1] == pytest.approx(3)

"""The scheduler: each gets its own answer, soon, from micro-batches that many share."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
import torch

from src.errors import ClientGone
from src.micro_batches import packed_micro_batches
from src.scheduler import Scheduler

DEADLINE_IN_SECONDS = 30


class RecordedForwardPass:
    """Answers each document with its first token id.

    Waits at `gate` before each micro-batch, and calls `arrive` after it.
    """

    def __init__(self):
        self.gate = Event()
        self.gate.set()
        self.running = Event()
        self.micro_batches_run = []
        self.arrive = lambda: None

    def micro_batches(self, lengths, max_tokens):
        """Divide as the packed forward pass does."""
        return packed_micro_batches(lengths, max_tokens)

    def logits(self, documents):
        """Logits [documents, 1]."""
        self.running.set()
        assert self.gate.wait(DEADLINE_IN_SECONDS)
        if [13] in documents:
            raise RuntimeError("thirteen")
        self.micro_batches_run.append([document[0] for document in documents])
        self.arrive()
        return torch.tensor([[float(document[0])] for document in documents])


@pytest.fixture
def forward_pass():
    """A forward pass that runs at once."""
    return RecordedForwardPass()


@pytest.fixture
def held(forward_pass):
    """A scheduler of ten tokens a micro-batch whose device is busy until `gate` is opened."""
    scheduler = Scheduler(forward_pass, max_tokens_per_micro_batch=10)
    forward_pass.gate.clear()
    scheduler.submit([[0]])
    assert forward_pass.running.wait(DEADLINE_IN_SECONDS)
    yield scheduler
    forward_pass.gate.set()


def documents(*ids, length=1):
    """Documents told apart by their token id."""
    return [[token_id] * length for token_id in ids]


def answers(submission):
    """The token ids that a submission was answered with, in the order of its documents."""
    answered = {
        place: int(logits)
        for micro_batch, rows in submission.result()
        for place, logits in zip(micro_batch, rows, strict=True)
    }
    return [answered[place] for place in range(len(answered))]


def test_documents_of_different_requests_share_a_micro_batch(forward_pass, held):
    """Three requests of one document each are one forward pass."""
    submissions = [held.submit(documents(token_id)) for token_id in (1, 2, 3)]

    forward_pass.gate.set()

    assert [answers(submission) for submission in submissions] == [[1], [2], [3]]
    assert forward_pass.micro_batches_run == [[0], [1, 2, 3]]


def test_a_small_request_goes_before_a_large_one(forward_pass, held):
    """It came last, is due first, and is answered first."""
    held.submit(documents(*range(100, 120), length=10))
    last = held.submit(documents(1, length=9))

    forward_pass.gate.set()

    assert answers(last) == [1]
    assert forward_pass.micro_batches_run[:2] == [[0], [1]]


def test_a_large_request_is_not_starved_by_small_ones(forward_pass, held):
    """Though a small one comes after each micro-batch, it has its turn after its own size."""
    large = held.submit(documents(100, length=40))
    forward_pass.arrive = lambda: (
        held.submit(documents(1, length=10))
        if [100] not in forward_pass.micro_batches_run
        else None
    )

    forward_pass.gate.set()

    assert answers(large) == [100]
    assert forward_pass.micro_batches_run.index([100]) == 4


def test_a_small_request_goes_before_a_large_one_that_came_in_parts(forward_pass, held):
    """However many parts of it wait, a request waits in one place."""
    large = held.submit(documents(100, length=10))
    for token_id in range(101, 120):
        held.add(large, documents(token_id, length=10))
    small = []
    forward_pass.arrive = lambda: (
        small.append(held.submit(documents(1, length=9)))
        if len(forward_pass.micro_batches_run) == 3
        else None
    )

    forward_pass.gate.set()

    assert answers(large) == list(range(100, 120))
    assert answers(small[0]) == [1]
    assert forward_pass.micro_batches_run.index([1]) == 3


def test_a_request_grows_while_its_first_documents_are_computed(forward_pass):
    """Before or after they are answered: the result waits for those added last."""
    scheduler = Scheduler(forward_pass, max_tokens_per_micro_batch=10, under_way=2)
    growing = scheduler.submit([])
    for token_id in range(20, 60):
        scheduler.add(growing, documents(token_id, token_id + 100, length=6))
        if token_id % 3 == 0:
            growing.result()

    assert answers(growing) == [place for i in range(20, 60) for place in (i, i + 100)]


def test_a_request_that_has_failed_does_not_grow(forward_pass, held):
    """Whoever adds to it learns of it, instead of preparing the rest for nobody."""
    failing = held.submit(documents(13))
    forward_pass.gate.set()
    with pytest.raises(RuntimeError, match="thirteen"):
        failing.result()

    with pytest.raises(RuntimeError, match="thirteen"):
        held.add(failing, documents(1))


def test_a_micro_batch_is_never_larger_than_the_budget(forward_pass, held):
    """What does not fit beside those due before it waits, and smaller ones fill the room."""
    submissions = [
        held.submit(documents(token_id, length=length))
        for token_id, length in ((1, 6), (2, 6), (3, 3), (4, 1))
    ]

    forward_pass.gate.set()

    assert [answers(submission) for submission in submissions] == [[1], [2], [3], [4]]
    assert forward_pass.micro_batches_run[1:] == [[4, 3, 1], [2]]


def test_nothing_submitted_is_answered_at_once(held):
    """No documents need no device, even a busy one."""
    assert held.submit([]).result() == []


def test_what_nobody_wants_any_more_is_dropped(forward_pass, held):
    """The rest of a request whose client has gone never reaches the device; others do."""
    asked = iter([True, False])
    gone = held.submit(documents(1, 2, 3, length=10), is_wanted=lambda: next(asked))
    staying = held.submit(documents(4, length=10))

    forward_pass.gate.set()

    with pytest.raises(ClientGone):
        gone.result()
    assert answers(staying) == [4]
    assert forward_pass.micro_batches_run == [[0], [1], [4]]


def test_a_request_that_cannot_be_asked_fails_alone(forward_pass, held):
    """The error of one client's connection takes no turn of the requests beside it."""

    def is_wanted():
        raise ValueError("file descriptor cannot be a negative integer")

    failing = held.submit(documents(1, length=10), is_wanted)
    beside = held.submit(documents(2, length=10))

    forward_pass.gate.set()

    with pytest.raises(ValueError, match="file descriptor"):
        failing.result()
    assert answers(beside) == [2]
    assert answers(held.submit(documents(3))) == [3]


def test_a_failed_micro_batch_fails_those_in_it_and_no_others(forward_pass, held):
    """The error reaches each request that had a part in it, and the device goes on."""
    failing = held.submit(documents(13))
    beside = held.submit(documents(5))
    other = held.submit(documents(6, length=10))

    forward_pass.gate.set()

    for submission in (failing, beside):
        with pytest.raises(RuntimeError, match="thirteen"):
            submission.result()
    assert answers(other) == [6]
    assert answers(held.submit(documents(7))) == [7]


def test_many_threads_get_their_own_answers_in_order(forward_pass):
    """Two hundred requests of one to seven documents from eight threads, none confused or lost."""
    scheduler = Scheduler(forward_pass, max_tokens_per_micro_batch=16)
    requests = [list(range(20 + start, 21 + start + start % 7)) for start in range(200)]

    with ThreadPoolExecutor(8) as pool:
        answered = list(pool.map(lambda ids: answers(scheduler.submit(documents(*ids))), requests))

    assert answered == requests
    computed = Counter(token_id for run in forward_pass.micro_batches_run for token_id in run)
    assert computed == Counter(token_id for request in requests for token_id in request)

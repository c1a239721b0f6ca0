"""One queue to one device: documents of many requests share micro-batches, in fair turns.

A submission is one request, divided into micro-batches as if it were alone. It may grow while its
first documents are computed, and waits in one place however large it becomes. At each turn the
device takes the micro-batch that is due first, and fills it up with those of others that the
forward pass would run in one go. So requests of one document share a forward pass. A micro-batch is
due once its own number of tokens has been computed since it became its submission's next: small
requests go before a large one, but only those that come while fewer tokens than its own have been
computed.

A GPU is given the next micro-batch while it computes one, so that it never waits for Python.

What waits is bounded by the callers: each waits for its answer, and the server has a fixed number
of threads. Knows lengths and turns; knows neither texts nor HTTP.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock
from typing import TYPE_CHECKING

from src.errors import ClientGone
from src.micro_batches import MicroBatch
from src.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

    from src.forward_pass import ForwardPass
    from src.token_windows import TokenIds


def always() -> bool:
    """Whoever submits with this waits for the answer to the end."""
    return True


@dataclass(frozen=True)
class Share:
    """What a submission has in one micro-batch: documents, and their places in the submission."""

    places: MicroBatch
    documents: list["TokenIds"]
    tokens: int


class Submission:
    """One request's way through the device; it may grow while its first documents are computed."""

    def __init__(self, is_wanted: Callable[[], bool], progress: Progress | None) -> None:
        self.micro_batches = 0
        self.tokens = 0
        self.due = 0
        self._is_wanted = is_wanted
        self._progress = progress
        self._documents = 0
        self._left: deque[Share] = deque()
        self._unanswered = 0
        self._answered: list[tuple[MicroBatch, Tensor]] = []
        self._error: Exception | None = None
        self._is_over = Event()
        self._is_over.set()

    def add(
        self,
        documents: Sequence["TokenIds"],
        micro_batches: Sequence[MicroBatch],
        computed_tokens: int,
    ) -> None:
        """Take more documents, which the micro-batches name by their places among them.

        Raises what `result` would raise, if that is certain already.
        """
        if self._error:
            raise self._error
        shares = [_share(documents, places, self._documents) for places in micro_batches]
        self.tokens += sum(share.tokens for share in shares)
        self.micro_batches += len(shares)
        self._documents += len(documents)
        self._unanswered += len(documents)
        if self._unanswered:
            self._is_over.clear()
        is_next = not self._left
        self._left += shares
        if is_next:
            self.set_due(computed_tokens)

    def result(self) -> list[tuple[MicroBatch, "Tensor"]]:
        """Wait for the logits [documents, labels] of each micro-batch; any order of these.

        To be called once all documents are added. Raises ClientGone if the documents were dropped,
        else what the forward pass or `is_wanted` raised.
        """
        self._is_over.wait()
        if self._error:
            raise self._error
        return self._answered

    def is_waiting(self) -> bool:
        """Whether a micro-batch is left for the device; none is once nobody wants the answer.

        If asking raises, that ends this result alone: others wait for the same turn.
        """
        try:
            if self._left and not self._is_wanted():
                raise ClientGone("The client closed its connection before it was answered.")
        except Exception as error:
            self.fail(error)
        return bool(self._left)

    def next_documents(self) -> list["TokenIds"]:
        """The documents of the next micro-batch."""
        return self._left[0].documents

    def set_due(self, computed_tokens: int) -> None:
        """Say when the next micro-batch is due, now that so many tokens have been computed."""
        if self._left:
            self.due = computed_tokens + self._left[0].tokens

    def take(self) -> Share:
        """The share in the next micro-batch, which is then no longer left."""
        return self._left.popleft()

    def answer(self, share: Share, logits: "Tensor") -> None:
        """Keep the logits of one share; those of the last complete the result."""
        self._answered.append((share.places, logits))
        self._unanswered -= len(share.places)
        if self._progress:
            self._progress.advance(share.tokens)
        if not self._unanswered:
            self._is_over.set()

    def fail(self, error: Exception) -> None:
        """End the result with `error`, unless one has ended it, and drop what is left."""
        self._left.clear()
        self._error = self._error or error
        self._is_over.set()


def _share(documents: Sequence["TokenIds"], places: MicroBatch, first: int) -> Share:
    """The documents at these places, of which the first has the place `first` in its submission."""
    chosen = [documents[place] for place in places]
    return Share([first + place for place in places], chosen, sum(map(len, chosen)))


class Scheduler:
    """Runs one forward pass for many threads, in threads of its own.

    Each of these has one micro-batch under way: one for a CPU, two for a GPU, which does its work
    behind them.
    """

    def __init__(
        self, forward_pass: "ForwardPass", max_tokens_per_micro_batch: int, under_way: int = 1
    ) -> None:
        self._forward_pass = forward_pass
        self._max_tokens = max_tokens_per_micro_batch
        self._waiting: list[Submission] = []
        self._computed_tokens = 0
        self._lock = Lock()
        # Its threads end when the scheduler is no longer used.
        self._device = ThreadPoolExecutor(max_workers=under_way, thread_name_prefix="device")

    def submit(
        self,
        documents: Sequence["TokenIds"],
        is_wanted: Callable[[], bool] = always,
        progress: Progress | None = None,
    ) -> Submission:
        """Queue documents and return at once; `result()` of what is returned waits for them.

        `is_wanted` is asked in the device's thread before each micro-batch; once it says no, the
        documents not yet computed are dropped. `progress` is that of the request they belong to.
        """
        submission = Submission(is_wanted, progress)
        self.add(submission, documents)
        return submission

    def add(self, submission: Submission, documents: Sequence["TokenIds"]) -> None:
        """Queue more documents of a request; they wait behind its others, not beside them.

        Raises what the request's result would raise, if that is certain already.
        """
        micro_batches = self._divided(documents)
        with self._lock:
            submission.add(documents, micro_batches, self._computed_tokens)
            if submission not in self._waiting:
                self._waiting.append(submission)
        # One turn for each micro-batch; those that were run as part of others' leave one unused.
        for _ in micro_batches:
            self._device.submit(self._take_turn)

    def _divided(self, documents: Sequence["TokenIds"]) -> list[MicroBatch]:
        lengths = [len(token_ids) for token_ids in documents]
        return self._forward_pass.micro_batches(lengths, self._max_tokens)

    def _take_turn(self) -> None:
        with self._lock:
            documents, shares = self._next_micro_batch()
        if not documents:
            return
        try:
            logits = self._forward_pass.logits(documents)
        except Exception as error:
            with self._lock:
                for submission, _ in shares:
                    submission.fail(error)
            return
        own_logits = logits.split([len(share.places) for _, share in shares])
        with self._lock:
            for (submission, share), own in zip(shares, own_logits, strict=True):
                submission.answer(share, own)

    def _next_micro_batch(self) -> tuple[list["TokenIds"], list[tuple[Submission, Share]]]:
        """The documents to run together, and whose share in them is which."""
        documents: list[TokenIds] = []
        shares = []
        self._waiting = [submission for submission in self._waiting if submission.is_waiting()]
        for submission in sorted(self._waiting, key=lambda submission: submission.due):
            together = documents + submission.next_documents()
            if not documents or len(self._divided(together)) == 1:
                documents = together
                shares.append((submission, submission.take()))
        self._computed_tokens += sum(map(len, documents))
        for submission, _ in shares:
            submission.set_due(self._computed_tokens)
        return documents, shares

"""One queue to one device: documents of many requests share micro-batches, in fair turns.

A submission is divided into micro-batches as if it were alone. At each turn the device takes the
one that is due first, and fills it up with those of others that the forward pass would run in one
go. So requests of one document share a forward pass. A micro-batch is due once its own number of
tokens has been computed since it became its submission's next: small requests go before a large
one, but only those that come while fewer tokens than its own have been computed.

A GPU is given the next micro-batch while it computes one, so that it never waits for Python.

What waits is bounded by the callers: each waits for its answer, and the server has a fixed number
of threads. Knows lengths and turns; knows neither texts nor HTTP.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
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


class Submission:
    """Some documents' way through the device."""

    def __init__(
        self,
        documents: Sequence["TokenIds"],
        micro_batches: Sequence[MicroBatch],
        is_wanted: Callable[[], bool],
        progress: Progress,
    ) -> None:
        self.micro_batches = len(micro_batches)
        self.tokens = sum(map(len, documents))
        self._documents = documents
        self._left = deque(micro_batches)
        self._is_wanted = is_wanted
        self.due = 0
        self._unanswered = len(documents)
        self._answered: list[tuple[MicroBatch, Tensor]] = []
        self._result: Future[list[tuple[MicroBatch, Tensor]]] = Future()
        self._progress = progress
        progress.expect(len(documents), self.tokens)
        if not documents:
            self._result.set_result([])

    def result(self) -> list[tuple[MicroBatch, "Tensor"]]:
        """Wait for the logits [documents, labels] of each micro-batch; any order of these.

        Raises ClientGone if the documents were dropped, else what the forward pass raised.
        """
        return self._result.result()

    def is_waiting(self) -> bool:
        """Whether a micro-batch is left for the device; none is once nobody wants the answer."""
        if self._left and not self._is_wanted():
            self.fail(ClientGone("The client closed its connection before it was answered."))
        return bool(self._left)

    def next_documents(self) -> list["TokenIds"]:
        """The documents of the next micro-batch."""
        return [self._documents[position] for position in self._left[0]]

    def set_due(self, computed_tokens: int) -> None:
        """Say when the next micro-batch is due, now that so many tokens have been computed."""
        if self._left:
            self.due = computed_tokens + sum(map(len, self.next_documents()))

    def take(self) -> MicroBatch:
        """The next micro-batch, which is then no longer left."""
        return self._left.popleft()

    def answer(self, micro_batch: MicroBatch, logits: "Tensor") -> None:
        """Keep the logits of one micro-batch; those of the last complete the result."""
        self._answered.append((micro_batch, logits))
        self._unanswered -= len(micro_batch)
        self._progress.advance(
            len(micro_batch), sum(len(self._documents[place]) for place in micro_batch)
        )
        if not self._unanswered:
            self._result.set_result(self._answered)

    def fail(self, error: Exception) -> None:
        """End the result with `error`, unless one has ended it, and drop what is left."""
        self._left.clear()
        if not self._result.done():
            self._result.set_exception(error)


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
        micro_batches = self._divided(documents)
        submission = Submission(documents, micro_batches, is_wanted, progress or Progress())
        with self._lock:
            submission.set_due(self._computed_tokens)
            self._waiting.append(submission)
        # One turn for each micro-batch; those that were run as part of others' leave one unused.
        for _ in range(submission.micro_batches):
            self._device.submit(self._take_turn)
        return submission

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
        own_logits = logits.split([len(micro_batch) for _, micro_batch in shares])
        with self._lock:
            for (submission, micro_batch), own in zip(shares, own_logits, strict=True):
                submission.answer(micro_batch, own)

    def _next_micro_batch(self) -> tuple[list["TokenIds"], list[tuple[Submission, MicroBatch]]]:
        """The documents to run together, and the submissions that they are the next part of."""
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

"""A model that loads in a thread of its own while the server already answers /ping.

Knows how to wait and how to fail; knows nothing of what it loads.
"""

from collections.abc import Callable
from threading import Event, Thread
from typing import Generic, TypeVar

from src.errors import ModelLoading

Model = TypeVar("Model")


class BackgroundModel(Generic[Model]):
    """Absent until `load` has finished."""

    def __init__(self, load: Callable[[], Model]) -> None:
        self._load = load
        self._model: Model | None = None
        self._loaded = Event()

    def start_loading(self, on_failure: Callable[[Exception], None]) -> Thread:
        """Load in a new thread; a failure is handed to `on_failure` in that thread."""
        thread = Thread(target=self._run, args=(on_failure,), name="load-model", daemon=True)
        thread.start()
        return thread

    def _run(self, on_failure: Callable[[Exception], None]) -> None:
        try:
            self._model = self._load()
            self._loaded.set()
        except Exception as error:
            on_failure(error)

    @property
    def is_loaded(self) -> bool:
        """Whether `get` answers at once."""
        return self._loaded.is_set()

    def get(self, patience_in_seconds: float) -> Model:
        """The loaded model; raises ModelLoading if it takes longer than that."""
        if not self._loaded.wait(patience_in_seconds):
            raise ModelLoading("The model is still loading. Try again once /ping answers 200.")
        return self._model

"""Stand-ins for a machine of three GPUs: the server that gunicorn.conf.py starts there.

Run as a program it is gunicorn, to which a folder's files are the machine's devices; imported by a
worker it is the container's app around a model that notes its GPU in place of loading onto it, or
around one that cannot be loaded.
"""

import json
import os
import sys
from functools import partial
from pathlib import Path

from gunicorn.app.wsgiapp import run

from app import create_app
from src import devices
from src.background_model import BackgroundModel
from src.errors import ModelError
from src.settings import Settings


def note_gpu():
    """What a worker does in place of loading a model: it tells which GPU torch would see."""
    seen = {"pid": os.getpid(), "gpu": os.environ["CUDA_VISIBLE_DEVICES"]}
    sys.stdout.write(json.dumps(seen) + "\n")
    sys.stdout.flush()


def fail():
    """What a worker does whose model is damaged."""
    raise ModelError("its weights are damaged.")


app = create_app(Settings.from_environment(), BackgroundModel(note_gpu))
app_of_a_damaged_model = create_app(Settings.from_environment(), BackgroundModel(fail))

if __name__ == "__main__":
    devices.given_gpus = partial(devices.given_gpus, Path(sys.argv.pop(1)))
    run()

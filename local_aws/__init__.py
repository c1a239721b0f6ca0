"""
An AWS for one laptop: ministack, the SageMaker slice it lacks, and a transform agent.

Whatever speaks to AWS reaches it by ``AWS_ENDPOINT_URL`` alone. It listens on 127.0.0.1 only.
It knows the container by its folder and Dockerfile and imports nothing of it; of
batch_transform it imports the service contract and nothing else.
"""

from local_aws.background import LocalAws, running

__all__ = ["LocalAws", "running"]

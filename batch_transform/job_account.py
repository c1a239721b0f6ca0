"""
What a job took: seconds that are billed, dollars, tokens; each job of a chain by itself.

A job that goes on with another adds to its bill, so the two are told apart and added up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from batch_transform.aws import AwsClients
from batch_transform.job_logs import WorkDone, work_done
from batch_transform.prices import HourlyPrice, hourly_price
from batch_transform.transform_job import TransformJob, find_job


@dataclass(frozen=True)
class JobAccount:
    """
    One job's account; None stands for what nobody can tell.

    *billed_seconds* are those of all its instances added up, *tokens_per_second* those of one.
    """

    job_name: str
    instance_type: str | None = None
    instance_count: int | None = None
    billed_seconds: int | None = None
    dollars: float | None = None
    price_basis: str | None = None
    tokens: int | None = None
    tokens_per_second: float | None = None


def account_of(
    job: TransformJob, work: WorkDone | None = None, price: HourlyPrice | None = None
) -> JobAccount:
    """Return what one job took, as far as its log and the price of its machine are known."""
    return JobAccount(
        job_name=job.name,
        instance_type=job.instance_type,
        instance_count=job.instance_count,
        billed_seconds=job.billed_seconds,
        dollars=price.cost(job.billed_seconds) if price else None,
        price_basis=price.basis if price else None,
        tokens=work.tokens if work else None,
        tokens_per_second=work.tokens_per_second if work else None,
    )


def find_accounts(clients: AwsClients, job_names: Iterable[str]) -> list[JobAccount]:
    """Ask SageMaker, the logs and the Price List what each of these jobs took."""
    return [_find_account(clients, name) for name in job_names]


def total(figures: Sequence[float | None]) -> float | None:
    """Add figures up; a sum of which a part is unknown is unknown."""
    return None if None in figures else round(sum(figures), 4)


def _find_account(clients: AwsClients, job_name: str) -> JobAccount:
    job = find_job(clients.sagemaker, job_name)
    if job is None:
        return JobAccount(job_name)
    price = hourly_price(clients.pricing, job.instance_type, clients.region)
    return account_of(job, work_done(clients.logs, job_name), price)

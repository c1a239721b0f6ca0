"""
Starting a job on a terminal: what is planned, what was left out, what was started, and where.

Shared by the two setup scripts. Knows no options.
"""

from datetime import UTC, datetime
from typing import Any

from batch_transform import terminal
from batch_transform.aws import AwsClients
from batch_transform.job_resumption import plan_resumption, resume
from batch_transform.left_out_lines import first_left_out
from batch_transform.naming import new_job_name
from batch_transform.settings import TransformSettings
from batch_transform.transform_plan import TransformPlan, carry_out, plan_transform
from batch_transform.transform_profiles import TransformProfile
from batch_transform.watching import WatchSettings, watch
from batch_transform.wording import counted

_LEFT_OUT_LINES_SHOWN = 5


def start_transform(
    profile: TransformProfile,
    *,
    region: str | None,
    job_name: str | None,
    wait: bool,
    dry_run: bool,
    results: WatchSettings,
    resumed_job: str | None = None,
    **values: Any,
) -> None:
    """Plan a job; show the plan, or carry it out and follow it."""
    clients = AwsClients(region)
    job_name = job_name or new_job_name(profile.name, datetime.now(UTC))
    settings = TransformSettings(
        profile=profile,
        job_name=job_name,
        region=clients.region,
        results_asked=results.asked,
        **values,
    )
    if resumed_job:
        is_started = _resume(clients, settings, resumed_job, dry_run=dry_run)
    else:
        is_started = _start(clients, settings, dry_run=dry_run)
    if not is_started:
        return
    if wait:
        watch(clients, job_name, results)
    elif results.as_json:
        terminal.print_json({"job_name": job_name, "folder": str(settings.folder.root)})
    else:
        terminal.print_answer(job_name)


def _start(clients: AwsClients, settings: TransformSettings, *, dry_run: bool) -> bool:
    plan = plan_transform(clients, settings)
    for remark in (f"plan: {plan.estimate}", *plan.remarks()):
        terminal.say(remark)
    if dry_run:
        terminal.print_json(plan.requests() | {"Estimate": plan.estimate.to_json()})
        return False
    left_out = carry_out(clients, plan, terminal.progress)
    _say_left_out(clients, plan, left_out)
    _say_started(plan)
    return True


def _resume(
    clients: AwsClients, settings: TransformSettings, earlier_name: str, *, dry_run: bool
) -> bool:
    resumption = plan_resumption(clients, settings, earlier_name)
    shards = resumption.packed_job.record.packed.shards
    terminal.say(
        f"plan: {len(resumption.shard_names)} of {counted(len(shards), 'shard')} of "
        f"{earlier_name}, {resumption.estimate.expectation}"
    )
    if dry_run:
        found = {"Manifest": resumption.manifest(), "Estimate": resumption.estimate.to_json()}
        terminal.print_json(resumption.requests() | found)
        return False
    resume(clients, resumption)
    terminal.say(f"started {settings.job_name}; its folder: {settings.folder.root}")
    return True


def _say_left_out(clients: AwsClients, plan: TransformPlan, counts: dict[str, int]) -> None:
    if not counts:
        return
    for code, count in counts.items():
        terminal.say(f"lines that hold no document, {code}: {count:,}")
    for line in first_left_out(clients.s3, plan.folder.left_out, _LEFT_OUT_LINES_SHOWN):
        terminal.say(line)
    terminal.say(f"all of them: {plan.folder.left_out}")


def _say_started(plan: TransformPlan) -> None:
    terminal.say(
        f"started {plan.job_name}: {counted(len(plan.input_folder.files), 'file')} from "
        f"{plan.input_folder.uri}"
    )
    terminal.say(f"its folder: {plan.folder.root}")

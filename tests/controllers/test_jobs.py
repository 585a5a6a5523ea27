"""Jobs and CronJobs on a cluster, as kubectl sees them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from meshlab.kube.objects import CRON_JOB, JOB, POD

WORK = """
apiVersion: batch/v1
kind: Job
metadata: {name: work}
spec:
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 1
      containers: [{name: work, image: "meshlab:latest", command: [sh, -c, "echo $JOB_COMPLETION_INDEX; CODE"]}]
"""
TICK = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: tick}
spec:
  schedule: "0 0 1 1 *"
  timeZone: Europe/Zurich
  concurrencyPolicy: Forbid
  successfulJobsHistoryLimit: 1
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          containers: [{name: tick, image: "meshlab:latest", command: ["true"]}]
"""


def work(code="exit 0", **spec):
    extra = "\n  ".join(f"{name}: {value}" for name, value in spec.items())
    return WORK.replace("CODE", code).replace("  template:", f"  {extra}\n  template:" if extra else "  template:", 1)


async def ended(kubectl, condition, name="work"):
    await kubectl("wait", f"job/{name}", f"--for=condition={condition}", "--timeout=60s")


async def test_an_indexed_job_does_each_number_once(corner, kubectl):
    await corner.apply(work(completions=3, parallelism=2, completionMode="Indexed"))
    await ended(kubectl, "complete")
    status = (await corner.get(JOB, "work"))["status"]
    assert (status["succeeded"], status["completedIndexes"], status["uncountedTerminatedPods"]) == (3, "0-2", {})
    assert [row["type"] for row in status["conditions"]] == ["SuccessCriteriaMet", "Complete"]
    assert sorted((await kubectl("logs", "-l", "job-name=work")).split()) == ["0", "1", "2"]
    assert (await kubectl("get", "job/work", "--no-headers")).split()[1:3] == ["Complete", "3/3"]
    assert not any(pod["metadata"].get("finalizers") for pod in await corner.list(POD))
    assert (await corner.events("work"))["Completed"] == "Job completed"


async def test_a_job_gives_up_after_as_many_failures_as_it_may_have(corner, kubectl):
    await corner.apply(work("exit 3", backoffLimit=0))
    await ended(kubectl, "failed")
    status = (await corner.get(JOB, "work"))["status"]
    assert status["failed"] == 1
    assert status["conditions"][-1]["reason"] == "BackoffLimitExceeded"


async def test_a_job_that_takes_too_long_is_ended_and_forgotten(corner, kubectl):
    await corner.apply(work("sleep 600", activeDeadlineSeconds=1, ttlSecondsAfterFinished=2))
    await ended(kubectl, "failed")
    assert (await corner.get(JOB, "work"))["status"]["conditions"][-1]["reason"] == "DeadlineExceeded"
    await kubectl("wait", "job/work", "--for=delete", "--timeout=30s")
    await kubectl("wait", "pods", "-l", "job-name=work", "--for=delete", "--timeout=30s")


async def test_a_suspended_job_has_no_pods_and_goes_on_when_resumed(corner, kubectl):
    await corner.apply(work("sleep 600", suspend="true"))
    await kubectl("wait", "job/work", "--for=condition=suspended", "--timeout=30s")
    assert await corner.list(POD) == []
    await corner.patch(JOB, "work", {"spec": {"suspend": False}})
    await kubectl("wait", "job/work", "--for=jsonpath={.status.ready}=1", "--timeout=30s")
    await corner.patch(JOB, "work", {"spec": {"suspend": True}})
    await kubectl("wait", "pods", "-l", "job-name=work", "--for=delete", "--timeout=30s")
    status = (await corner.get(JOB, "work"))["status"]
    assert "failed" not in status
    assert "startTime" not in status


async def test_deleting_a_job_leaves_no_pod_that_waits_to_be_counted(corner, kubectl):
    await corner.apply(work("sleep 600"))
    await kubectl("wait", "job/work", "--for=jsonpath={.status.ready}=1", "--timeout=30s")
    await kubectl("delete", "job/work", "--timeout=30s")
    await kubectl("wait", "pods", "-l", "job-name=work", "--for=delete", "--timeout=30s")


async def test_a_cron_job_makes_up_for_what_it_missed_once_and_keeps_as_many_jobs_as_asked(corner, kubectl):
    await corner.apply(TICK)

    async def missed(job_count):
        long_ago = (datetime.now(UTC) - timedelta(days=366 * 2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {"status": {"lastScheduleTime": long_ago}}
        await corner.kube.patch(CRON_JOB, "tick", body, corner.namespace, subresource="status")

        async def done():
            status = (await corner.get(CRON_JOB, "tick"))["status"]
            finished = "active" not in status and status["lastScheduleTime"] != long_ago
            return finished and len(await corner.list(JOB)) == job_count

        await corner.eventually(done)

    await missed(1)
    [job] = await corner.list(JOB)
    new_year = datetime(datetime.now(UTC).year - 1, 12, 31, 23, tzinfo=UTC)
    assert job["metadata"]["name"] == f"tick-{int(new_year.timestamp()) // 60}"
    await ended(kubectl, "complete", job["metadata"]["name"])
    assert (await corner.events("tick"))["SuccessfulCreate"] == f"Created job {job['metadata']['name']}"

    async def a_second_later():  # of two jobs of the same second either is the older one
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") > job["metadata"]["creationTimestamp"]

    await corner.eventually(a_second_later)
    await kubectl("create", "job", "now", "--from=cronjob/tick")
    await ended(kubectl, "complete", "now")
    assert (await corner.get(CRON_JOB, "tick"))["status"]["lastSuccessfulTime"]

    async def one_left():
        return [found["metadata"]["name"] for found in await corner.list(JOB)] == ["now"]

    await corner.eventually(one_left)


async def test_a_suspended_cron_job_makes_none(corner, kubectl):
    await corner.apply(TICK.replace("concurrencyPolicy: Forbid", "suspend: true"))
    assert "<none>" in await kubectl("get", "cronjob/tick", "--no-headers")
    long_ago = {"status": {"lastScheduleTime": "2020-01-01T00:00:00Z"}}
    await corner.kube.patch(CRON_JOB, "tick", long_ago, corner.namespace, subresource="status")
    await corner.patch(CRON_JOB, "tick", {"spec": {"suspend": False}})

    async def resumed():
        return await corner.list(JOB)

    [job] = await corner.eventually(resumed)
    assert job["metadata"]["ownerReferences"][0]["kind"] == "CronJob"

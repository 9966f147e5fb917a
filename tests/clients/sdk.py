"""Every method about workflows of the PyPI package `cloudflare`, against the server at BASE_URL."""

import json
import os
import time

from cloudflare import AuthenticationError, Cloudflare, ConflictError, NotFoundError

base_url = os.environ["BASE_URL"]
client = Cloudflare(api_token=os.environ["TOKEN"], base_url=base_url, max_retries=0)
account = {"account_id": "local"}
workflows = client.workflows
instances, versions = workflows.instances, workflows.versions


def get(workflow, instance, **more):
    return instances.get(instance, workflow_name=workflow, **account, **more)


def until(workflow, instance, status):
    for _ in range(3000):
        details = get(workflow, instance)
        if details.status == status:
            return details
        time.sleep(0.01)
    raise AssertionError(f"{instance} of {workflow} never gets {status}")


def refused(error_type, call):
    try:
        call()
    except error_type as error:
        return error
    raise AssertionError(f"no {error_type.__name__}")


# Pages end, whatever their size.
names = [workflow.name for workflow in workflows.list(**account, per_page=7)]
assert len(names) > 50 and len(set(names)) == len(names), names
assert [workflow.class_name for workflow in workflows.list(**account, search="one-st")] == ["OneStep"]

workflow = workflows.get("one-step", **account)
assert (workflow.class_name, workflow.script_name) == ("OneStep", "behaviours")
same = workflows.update("one-step", **account, class_name="OneStep", script_name="behaviours")
assert same.name == "one-step"
refused(ConflictError, lambda: workflows.update("one-step", **account, class_name="Other", script_name="behaviours"))

[version] = list(versions.list("one-step", **account))
assert version.workflow_id == workflow.id
assert versions.get(version.id, workflow_name="one-step", **account).id == version.id
refused(NotFoundError, lambda: versions.graph(version.id, workflow_name="one-step", **account))

created = instances.create("many-steps", **account, instance_id="mine", params=json.dumps({"n": 3}))
assert (created.id, created.trigger_source) == ("mine", "api")
error = refused(ConflictError, lambda: instances.create("many-steps", **account, instance_id="mine"))
assert error.errors[0].code == 10405
details = until("many-steps", "mine", "complete")
assert details.params == {"n": 3}
assert [step.name for step in details.steps] == ["step-1-1", "step-2-1", "step-3-1"]
assert details.steps[0].attempts[0].success is True
assert get("many-steps", "mine", order="desc").steps[0].name == "step-3-1"
simple = get("many-steps", "mine", simple="true")
assert simple.step_count == 3 and simple.steps is None
step = instances.step("mine", workflow_name="many-steps", name="step-1-1", type="step", **account)
assert (step.status, step.error, step.output) == ("complete", None, 1)
error = refused(NotFoundError, lambda: get("many-steps", "none"))
assert (error.errors[0].code, error.errors[0].message) == (10400, "workflows.api.error.instance.not_found")

many = [{"instance_id": f"i{k}", "params": '{"duration":"1 day"}'} for k in range(30)]
assert len(list(instances.bulk("sleeper", **account, body=many))) == 30
listed = [instance.id for instance in instances.list("sleeper", **account, per_page=7)]
assert sorted(listed) == sorted(instance["instance_id"] for instance in many)
for k in range(30):
    until("sleeper", f"i{k}", "waiting")
assert len(list(instances.list("sleeper", **account, status="waiting", per_page=100))) == 30
assert list(instances.list("sleeper", **account, date_end="2020-01-01T00:00:00Z")) == []
assert instances.list("sleeper", **account, direction="asc", per_page=1).result[0].id == "i0"


def change(instance, **change):
    return instances.status.edit(instance, workflow_name="sleeper", **account, **change)


assert change("i0", status="pause").status == "paused"
change("i0", status="resume")
until("sleeper", "i0", "waiting")
change("i0", status="restart", from_={"name": "before", "type": "do"})
until("sleeper", "i0", "waiting")
assert change("i0", status="terminate", rollback=True).status == "terminated"
refused(ConflictError, lambda: change("i0", status="terminate"))

instances.create("event-waiter", **account, instance_id="w")
until("event-waiter", "w", "waiting")
sent = instances.events.create("go", workflow_name="event-waiter", instance_id="w", body={"x": 1}, **account)
assert sent.instance_id == "w"
output = until("event-waiter", "w", "complete").output
assert output["payload"] == {"x": 1}, output

deleted = workflows.delete("sleeper", **account)
assert (deleted.status, deleted.success) == ("ok", True)
assert list(instances.list("sleeper", **account)) == []

stranger = Cloudflare(api_token="wrong", base_url=base_url, max_retries=0)
refused(AuthenticationError, lambda: stranger.workflows.get("one-step", **account))
print("every method works")

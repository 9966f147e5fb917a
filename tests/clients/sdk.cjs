// Every method about workflows of the npm package `cloudflare`, against the server at BASE_URL.
const assert = require("node:assert/strict");
const { Cloudflare, NotFoundError, AuthenticationError } = require("cloudflare");

const baseURL = process.env.BASE_URL;
const client = new Cloudflare({ apiToken: process.env.TOKEN, baseURL, maxRetries: 0 });
const account_id = "local";
const { workflows } = client;
const { instances, versions } = workflows;

async function all(pages) {
    const items = [];
    for await (const item of pages) items.push(item);
    return items;
}

const get = (workflow_name, id, more) => instances.get(id, { account_id, workflow_name, ...more });

async function until(workflow_name, id, status) {
    for (let tries = 0; tries < 3000; tries++) {
        const details = await get(workflow_name, id);
        if (details.status === status) return details;
        await new Promise((done) => setTimeout(done, 10));
    }
    throw new Error(`${id} of ${workflow_name} never gets ${status}`);
}

async function main() {
    // Pages end, whatever their size.
    const names = (await all(workflows.list({ account_id, per_page: 7 }))).map((workflow) => workflow.name);
    assert.ok(names.length > 50 && names.includes("one-step"));
    assert.equal(new Set(names).size, names.length);
    const found = await all(workflows.list({ account_id, search: "one-st" }));
    assert.deepEqual(found.map((workflow) => workflow.class_name), ["OneStep"]);

    const workflow = await workflows.get("one-step", { account_id });
    assert.deepEqual([workflow.class_name, workflow.script_name], ["OneStep", "behaviours"]);
    const same = { account_id, class_name: "OneStep", script_name: "behaviours" };
    assert.equal((await workflows.update("one-step", same)).name, "one-step");
    await assert.rejects(workflows.update("one-step", { ...same, class_name: "Other" }), { status: 409 });

    const [version] = await all(versions.list("one-step", { account_id }));
    assert.equal(version.workflow_id, workflow.id);
    const params = { account_id, workflow_name: "one-step" };
    assert.equal((await versions.get(version.id, params)).id, version.id);
    await assert.rejects(versions.graph(version.id, params), NotFoundError);

    const body = { account_id, instance_id: "mine", params: JSON.stringify({ n: 3 }) };
    const created = await instances.create("many-steps", body);
    assert.deepEqual([created.id, created.trigger_source], ["mine", "api"]);
    await assert.rejects(instances.create("many-steps", body), (error) => {
        assert.deepEqual([error.status, error.errors[0].code], [409, 10405]);
        return true;
    });
    const details = await until("many-steps", "mine", "complete");
    assert.deepEqual(details.params, { n: 3 });
    assert.deepEqual(details.steps.map((step) => step.name), ["step-1-1", "step-2-1", "step-3-1"]);
    assert.equal((await get("many-steps", "mine", { order: "desc" })).steps[0].name, "step-3-1");
    const simple = await get("many-steps", "mine", { simple: "true" });
    assert.deepEqual([simple.step_count, simple.steps], [3, undefined]);
    const step = { account_id, workflow_name: "many-steps", name: "step-1-1", type: "step" };
    assert.deepEqual(await instances.step("mine", step), { status: "complete", error: null, output: 1 });
    await assert.rejects(get("many-steps", "none"), (error) => {
        assert.ok(error instanceof NotFoundError);
        assert.deepEqual(error.errors[0], { code: 10400, message: "workflows.api.error.instance.not_found" });
        return true;
    });

    const many = Array.from({ length: 30 }, (_, k) => ({ instance_id: `i${k}`, params: '{"duration":"1 day"}' }));
    assert.equal((await all(instances.bulk("sleeper", { account_id, body: many }))).length, 30);
    const listed = await all(instances.list("sleeper", { account_id, per_page: 7 }));
    assert.equal(new Set(listed.map((instance) => instance.id)).size, 30);
    for (let k = 0; k < 30; k++) await until("sleeper", `i${k}`, "waiting");
    const waiting = await all(instances.list("sleeper", { account_id, status: "waiting", per_page: 100 }));
    assert.equal(waiting.length, 30);
    const past = { account_id, date_end: "2020-01-01T00:00:00Z" };
    assert.deepEqual(await all(instances.list("sleeper", past)), []);
    const [oldest] = (await instances.list("sleeper", { account_id, direction: "asc", per_page: 1 })).result;
    assert.equal(oldest.id, "i0");

    const set = (id, change) => instances.status.edit(id, { account_id, workflow_name: "sleeper", ...change });
    const paused = await set("i0", { status: "pause" });
    assert.equal(paused.status, "paused");
    assert.ok(!Number.isNaN(Date.parse(paused.timestamp)));
    await set("i0", { status: "resume" });
    await until("sleeper", "i0", "waiting");
    await set("i0", { status: "restart", from: { name: "before", type: "do" } });
    await until("sleeper", "i0", "waiting");
    assert.equal((await set("i0", { status: "terminate", rollback: true })).status, "terminated");
    await assert.rejects(set("i0", { status: "terminate" }), { status: 409 });

    await instances.create("event-waiter", { account_id, instance_id: "w" });
    await until("event-waiter", "w", "waiting");
    const where = { account_id, workflow_name: "event-waiter", instance_id: "w" };
    const sent = await instances.events.create("go", { ...where, body: { x: 1 } });
    assert.equal(sent.instanceId, "w");
    assert.deepEqual((await until("event-waiter", "w", "complete")).output.payload, { x: 1 });

    assert.deepEqual(await workflows.delete("sleeper", { account_id }), { status: "ok", success: true });
    assert.deepEqual(await all(instances.list("sleeper", { account_id })), []);

    const stranger = new Cloudflare({ apiToken: "wrong", baseURL, maxRetries: 0 });
    await assert.rejects(stranger.workflows.get("one-step", { account_id }), AuthenticationError);
    console.log("every method works");
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  OrchestrationStatus,
  PurgeInstanceCriteria,
  terminateOptions,
} from "@microsoft/durabletask-js";

import { all, withHub } from "./hub.mjs";

const { COMPLETED, FAILED, RUNNING, SUSPENDED, TERMINATED } = OrchestrationStatus;
const ALREADY_EXISTS = 6;
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;

async function* gate(context) {
  return yield context.waitForExternalEvent("go");
}

async function* nested(context, depth) {
  if (depth) return yield context.callSubOrchestrator("nested", depth - 1);
  return yield context.waitForExternalEvent("go");
}

async function* echo(_, value) {
  return value;
}

const gates = { orchestrators: { gate, nested, echo } };

async function running(hub, instanceId = "one") {
  await hub.start("gate", null, { instanceId });
  await hub.started(instanceId);
  return instanceId;
}

/** An orchestration that fails until what it calls is mended; it counts its calls. */
function repairable() {
  const kept = { isMended: false, calls: [] };
  kept.parts = {
    orchestrators: {
      async *repairable(context, value) {
        yield context.callActivity("fine", value);
        return yield context.callActivity("fragile", value);
      },
      async *parent(context, value) {
        return yield context.callSubOrchestrator("repairable", value, { instanceId: "child" });
      },
    },
    activities: {
      fine: async (_, value) => (kept.calls.push("fine"), value),
      fragile: async (_, value) => {
        kept.calls.push("fragile");
        if (!kept.isMended) throw new Error("not mended");
        return value;
      },
    },
  };
  return kept;
}

describe("events", () => {
  test("that come before the first turn are kept in order", withHub(async (hub) => {
    async function* three(context) {
      const got = [];
      for (let i = 0; i < 3; i++) got.push(yield context.waitForExternalEvent("item"));
      return got;
    }
    const id = await hub.start("three");
    for (const number of [0, 1, 2]) await hub.client.raiseOrchestrationEvent(id, "item", number);
    await hub.work({ orchestrators: { three } });

    assert.deepEqual(await hub.output(id), [0, 1, 2]);
  }));

  test("pass between instances", withHub(async (hub) => {
    async function* sender(context, target) {
      context.sendEvent(target, "go", "from a peer");
      context.sendEvent("nobody", "go");
    }
    await hub.work({ orchestrators: { gate, sender } });
    await running(hub);
    await hub.run("sender", "one");

    assert.equal(await hub.output("one"), "from a peer");
  }));

  test("to nobody are refused", withHub(async (hub) => {
    const raised = hub.client.raiseOrchestrationEvent("nobody", "go");

    await assert.rejects(raised, { code: NOT_FOUND });
  }));

  test("are carried over into a new life", withHub(async (hub) => {
    async function* collecting(context, got) {
      got.push(yield context.waitForExternalEvent("item"));
      if (got.length < 4) return context.continueAsNew(got, true);
      return got;
    }
    const id = await hub.start("collecting", []);
    for (const number of [0, 1, 2, 3]) await hub.client.raiseOrchestrationEvent(id, "item", number);
    await hub.work({ orchestrators: { collecting } });

    assert.deepEqual(await hub.output(id), [0, 1, 2, 3]);
  }));
});

describe("suspension and termination", () => {
  test("a suspended instance waits until it is resumed", withHub(async (hub) => {
    await hub.work(gates);
    await running(hub);
    await hub.client.suspendOrchestration("one");
    await hub.until(async () => (await hub.status("one")) === SUSPENDED);
    await hub.client.raiseOrchestrationEvent("one", "go", 1);
    await assert.rejects(hub.client.waitForOrchestrationCompletion("one", false, 0.2));

    await hub.client.resumeOrchestration("one");
    assert.equal(await hub.output("one"), 1);
  }));

  test("a terminated one has an output and no failure", withHub(async (hub) => {
    await hub.work(gates);
    await hub.client.terminateOrchestration(await running(hub), { why: "enough" });
    const state = await hub.finished("one");

    assert.equal(state.runtimeStatus, TERMINATED);
    assert.equal(state.serializedOutput, '{"why":"enough"}');
    assert.equal(state.failureDetails, undefined);
  }));

  test("reaches children and theirs when asked", withHub(async (hub) => {
    await hub.work(gates);
    await hub.start("nested", 2, { instanceId: "root" });
    const states = () => all(hub.client.getAllInstances());
    await hub.until(async () => (await states()).length === 3);
    await hub.client.terminateOrchestration("root", terminateOptions({ recursive: true }));

    await hub.until(async () => (await states()).every((s) => s.runtimeStatus === TERMINATED));
  }));
});

describe("second lives", () => {
  test("rewind repeats only what has failed", withHub(async (hub) => {
    const it = repairable();
    await hub.work(it.parts);
    await hub.start("repairable", 1, { instanceId: "one" });
    await hub.failure("one");
    it.isMended = true;
    await hub.client.rewindInstance("one", "mended");

    assert.equal(await hub.output("one"), 1);
    assert.deepEqual(it.calls, ["fine", "fragile", "fragile"]);
    assert.equal((await hub.finished("one")).failureDetails, undefined);
  }));

  test("rewind reaches the children that failed", withHub(async (hub) => {
    const it = repairable();
    await hub.work(it.parts);
    await hub.start("parent", 1, { instanceId: "root" });
    await hub.failure("root");
    it.isMended = true;
    await hub.client.rewindInstance("root", "mended");

    assert.equal(await hub.output("root"), 1);
    assert.equal(await hub.status("child"), COMPLETED);
    assert.deepEqual(it.calls, ["fine", "fragile", "fragile"]);
  }));

  test("rewind is for failed instances only", withHub(async (hub) => {
    await hub.work(gates);
    await running(hub);

    await assert.rejects(hub.client.rewindInstance("nobody", ""), /was not found/);
    await assert.rejects(hub.client.rewindInstance("one", ""), /not allow|precondition|running/i);
  }));

  test("restart begins again, under the same id or a new one", withHub(async (hub) => {
    await hub.work(gates);
    await hub.run("echo", 5, { instanceId: "done" });
    assert.equal(await hub.client.restartOrchestration("done"), "done");
    assert.equal(await hub.output("done"), 5);
    await running(hub);
    await assert.rejects(hub.client.restartOrchestration("one"), /cannot be restarted/);
    await assert.rejects(hub.client.restartOrchestration("nobody"), /was not found/);

    const again = await hub.client.restartOrchestration("one", true);
    await hub.client.raiseOrchestrationEvent(again, "go", 2);
    assert.equal(await hub.output(again), 2);
    assert.equal(await hub.status("one"), RUNNING);
  }));

  test("an id is taken while its instance runs, and free afterwards", withHub(async (hub) => {
    await hub.work(gates);
    await running(hub);
    const again = hub.start("gate", null, { instanceId: "one" });
    await assert.rejects(again, { code: ALREADY_EXISTS });
    await hub.client.raiseOrchestrationEvent("one", "go", 1);
    await hub.output("one");

    assert.equal(await hub.run("echo", 2, { instanceId: "one" }), 2);
  }));

  test("an id of more than a hundred characters is refused", withHub(async (hub) => {
    const started = hub.start("gate", null, { instanceId: "x".repeat(101) });

    await assert.rejects(started, { code: INVALID_ARGUMENT, details: /length/ });
  }));

  test("purge forgets what has ended, by id and by filter", withHub(async (hub) => {
    await hub.work(gates);
    await running(hub);
    for (const number of [1, 2, 3]) await hub.run("echo", number, { instanceId: `i${number}` });
    const purge = (what, options) => hub.client.purgeOrchestration(what, options);

    assert.equal((await purge("i1")).deletedInstanceCount, 1);
    assert.equal(await hub.client.getOrchestrationState("i1"), undefined);
    assert.equal((await purge("i1"))?.deletedInstanceCount, 0);
    assert.equal((await purge("one"))?.deletedInstanceCount, 0);
    const ended = new PurgeInstanceCriteria();
    ended.setCreatedTimeFrom(new Date(0));
    ended.setRuntimeStatusList([COMPLETED, FAILED]);
    assert.equal((await purge(ended)).deletedInstanceCount, 2);
    assert.equal((await all(hub.client.getAllInstances())).length, 1);
  }));
});

describe("queries", () => {
  test("go by prefix and status, page by page", withHub(async (hub) => {
    await hub.work(gates);
    await running(hub);
    for (const number of [0, 1, 2, 3, 4]) await hub.run("echo", number, { instanceId: `i${number}` });
    const filter = { instanceIdPrefix: "i", fetchInputsAndOutputs: true };
    const pages = await all(hub.client.getAllInstances(filter).asPages(undefined, 2));

    assert.deepEqual(pages.map((page) => page.values.length), [2, 2, 1]);
    const found = pages.flatMap((page) => page.values);
    assert.deepEqual(found.map((state) => state.serializedOutput).sort(), ["0", "1", "2", "3", "4"]);
    const rest = await all(hub.client.getAllInstances({ statuses: [RUNNING] }));
    assert.deepEqual(rest.map((state) => state.instanceId), ["one"]);
  }));

  test("ids of ended instances come in the order of their end", withHub(async (hub) => {
    await hub.work(gates);
    await running(hub);
    for (const number of [0, 1, 2, 3, 4]) await hub.run("echo", number, { instanceId: `i${number}` });
    const pages = [];
    let lastInstanceKey;
    do {
      const page = await hub.client.listInstanceIds({ pageSize: 2, lastInstanceKey });
      pages.push([...page.values]);
      lastInstanceKey = page.continuationToken;
      if (lastInstanceKey) assert.ok(lastInstanceKey.includes(page.values.at(-1)));
    } while (lastInstanceKey);

    assert.deepEqual(pages, [["i0", "i1"], ["i2", "i3"], ["i4"]]);
  }));

  test("an unknown instance has no state", withHub(async (hub) => {
    assert.equal(await hub.client.getOrchestrationState("nobody"), undefined);
  }));
});

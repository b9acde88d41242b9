import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  OrchestrationStatus,
  VersionFailureStrategy as Failure,
  VersionMatchStrategy as Match,
} from "@microsoft/durabletask-js";

import { withHub } from "./hub.mjs";

async function* versioned(context) {
  return context.version;
}

async function* calling(context, name) {
  return yield context.callActivity(name);
}

const orchestrators = { versioned };

describe("versions", () => {
  test("that a worker does not match fail", withHub(async (hub) => {
    for (const [matchStrategy, taken] of [
      [Match.Strict, ["2.0"]],
      [Match.CurrentOrOlder, ["1.0", "2.0"]],
    ]) {
      const versioning = { version: "2.0", matchStrategy, failureStrategy: Failure.Fail };
      const worker = await hub.work({ orchestrators, versioning });
      for (const version of ["1.0", "2.0", "3.0"]) {
        const id = await hub.start("versioned", null, { version });
        if (taken.includes(version)) assert.equal(await hub.output(id), version);
        else assert.equal((await hub.failure(id)).errorType, "VersionMismatch");
      }
      await hub.stop(worker);
    }
  }));

  test("that a worker rejects wait for one that takes them", withHub(async (hub) => {
    const versioning = { version: "2.0", matchStrategy: Match.Strict, failureStrategy: Failure.Reject };
    await hub.work({ orchestrators, versioning });
    const rejected = await hub.start("versioned", null, { version: "3.0" });
    assert.equal(await hub.run("versioned", null, { version: "2.0" }), "2.0");
    assert.equal(await hub.status(rejected), OrchestrationStatus.PENDING);

    await hub.work({ orchestrators, versioning: { ...versioning, version: "3.0" } });
    assert.equal(await hub.output(rejected), "3.0");
  }));

  test("are empty where an instance has none", withHub(async (hub) => {
    await hub.work({ orchestrators });

    assert.equal(await hub.run("versioned"), "");
  }));
});

describe("workers", () => {
  test("get what their filters name", withHub(async (hub) => {
    const named = (orchestrations, activities = []) => ({
      workItemFilters: {
        orchestrations: orchestrations.map((name) => ({ name })),
        activities: activities.map((name) => ({ name })),
      },
    });
    await hub.work({ orchestrators: { calling }, ...named(["calling"]) });
    await hub.work({ activities: { left: async () => "left" }, ...named([], ["left"]) });
    const waiting = await hub.start("calling", "right");

    assert.equal(await hub.run("calling", "left"), "left");
    assert.equal(await hub.status(waiting), OrchestrationStatus.RUNNING);
    await hub.work({ activities: { right: async () => "right" }, ...named([], ["right"]) });
    assert.equal(await hub.output(waiting), "right");
  }));

  test("get their own activities through the filters that the SDK makes", withHub(async (hub) => {
    const versioning = {
      version: "2.0",
      matchStrategy: Match.Strict,
      failureStrategy: Failure.Reject,
    };
    const activities = { left: async () => "left" };
    const workItemFilters = "auto";
    await hub.work({ orchestrators: { calling }, activities, versioning, workItemFilters });

    assert.equal(await hub.run("calling", "left", { version: "2.0" }), "left");
  }));

  test("of several hubs know nothing of each other", withHub(async (hub) => {
    const other = hub.newClient(`${hub.name}-other`);
    await hub.work({ orchestrators });
    await other.scheduleNewOrchestration("versioned", null, { instanceId: "same id" });
    await hub.start("versioned", null, { instanceId: "same id", version: "ours" });

    assert.equal(await hub.output("same id"), "ours");
    const theirs = await other.getOrchestrationState("same id");
    assert.equal(theirs.runtimeStatus, OrchestrationStatus.PENDING);
    await other.stop();
  }));

  test("that go leave their instances to others", withHub(async (hub) => {
    async function* gate(context) {
      return yield context.waitForExternalEvent("go");
    }
    const first = await hub.work({ orchestrators: { gate } });
    const id = await hub.start("gate");
    await hub.started(id);
    await hub.stop(first);
    await hub.client.raiseOrchestrationEvent(id, "go", 1);
    await hub.work({ orchestrators: { gate } });

    assert.equal(await hub.output(id), 1);
  }));

  test("finish what they hold when they are stopped", withHub(async (hub) => {
    let calls = 0;
    let finish;
    const released = new Promise((resolve) => (finish = resolve));
    const activities = {
      slow: async () => {
        calls += 1;
        await released;
        return "late";
      },
    };
    const leaving = await hub.work({ orchestrators: { calling }, activities });
    const id = await hub.start("calling", "slow");
    await hub.until(() => calls === 1);
    const stopping = hub.stop(leaving);
    finish();
    await stopping;
    await hub.work({ orchestrators: { calling }, activities });

    assert.equal(await hub.output(id), "late");
    assert.equal(calls, 1);
  }));
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { EntityInstanceId, TaskEntity } from "@microsoft/durabletask-js";

import { all, withHub } from "./hub.mjs";

class Counter extends TaskEntity {
  initializeState() {
    return 0;
  }
  add(amount) {
    this.state += amount;
    return this.state;
  }
  get() {
    return this.state;
  }
  breakDown() {
    this.state = -1;
    throw new Error("broken");
  }
  passOn(amount) {
    this.context.signalEntity(entity("other"), "add", amount);
  }
}

const entities = { counter: () => new Counter() };
const entity = (key = "one") => new EntityInstanceId("counter", key);

async function* calling(context, [operation, value]) {
  return yield context.entities.callEntity(entity(), operation, value);
}

async function* transfer(context, amount) {
  const lock = yield context.entities.lockEntities(entity("b"), entity("a"));
  const balance = yield context.entities.callEntity(entity("a"), "get");
  yield context.entities.callEntity(entity("a"), "add", -amount);
  yield context.entities.callEntity(entity("b"), "add", amount);
  lock.release();
  return balance;
}

const state = async (hub, key) => (await hub.client.getEntity(entity(key)))?.state;

describe("entities", () => {
  test("apply each signal once", withHub(async (hub) => {
    await hub.work({ entities });
    for (let n = 0; n < 30; n++) await hub.client.signalEntity(entity(), "add", n);

    await hub.until(async () => (await state(hub)) === 435);
  }));

  test("wait for the time of a delayed signal", withHub(async (hub) => {
    await hub.work({ entities });
    const signalTime = new Date(Date.now() + 500);
    await hub.client.signalEntity(entity(), "add", 1, { signalTime });
    assert.equal(await hub.client.getEntity(entity()), undefined);

    await hub.until(async () => (await state(hub)) === 1);
    assert.ok(Date.now() >= signalTime.getTime());
  }));

  test("are called, fail alone, and go on", withHub(async (hub) => {
    async function* careful(context) {
      try {
        yield context.entities.callEntity(entity(), "breakDown");
      } catch (error) {
        return error.message;
      }
    }
    await hub.work({ entities, orchestrators: { calling, careful } });

    assert.equal(await hub.run("calling", ["add", 2]), 2);
    assert.match(await hub.run("careful"), /broken/);
    assert.equal(await hub.run("calling", ["get"]), 2);
  }));

  test("signal each other", withHub(async (hub) => {
    await hub.work({ entities });
    await hub.client.signalEntity(entity(), "passOn", 3);

    await hub.until(async () => (await state(hub, "other")) === 3);
  }));

  test("can be deleted and do not exist then", withHub(async (hub) => {
    await hub.work({ entities, orchestrators: { calling } });
    await hub.run("calling", ["add", 2]);
    await hub.client.signalEntity(entity(), "delete");

    await hub.until(async () => (await hub.client.getEntity(entity())) === undefined);
  }));

  test("keep a state of no weight", withHub(async (hub) => {
    await hub.work({ entities, orchestrators: { calling } });
    await hub.run("calling", ["add", 0]);

    assert.equal(await state(hub), 0);
  }));

  test("are found page by page, with and without state", withHub(async (hub) => {
    await hub.work({ entities });
    const keys = ["k0", "k1", "k2", "k3", "k4"];
    for (const key of keys) await hub.client.signalEntity(entity(key), "add", 1);
    const found = (query) => all(hub.client.getEntities(query));
    await hub.until(async () => (await found()).length === 5);

    const paged = await found({ instanceIdStartsWith: "@counter@", pageSize: 2 });
    assert.deepEqual(paged.map((each) => each.id.key), keys);
    const [bare] = await found({ instanceIdStartsWith: "@counter@k3", includeState: false });
    assert.deepEqual([bare.id.key, bare.includesState], ["k3", false]);
    await hub.client.cleanEntityStorage();
    assert.equal((await found()).length, 5);
  }));

  test("locked together keep transfers whole", withHub(async (hub) => {
    await hub.work({ entities, orchestrators: { transfer } });
    const ids = await Promise.all([...Array(10)].map(() => hub.start("transfer", 1)));
    const seen = await Promise.all(ids.map((id) => hub.output(id)));

    assert.deepEqual(seen.sort((a, b) => a - b), [-9, -8, -7, -6, -5, -4, -3, -2, -1, 0].map((n) => n || 0));
    await hub.until(async () => (await state(hub, "a")) === -10 && (await state(hub, "b")) === 10);
  }));

  test("are released when their owner is terminated", withHub(async (hub) => {
    async function* holding(context) {
      yield context.entities.lockEntities(entity());
      yield context.waitForExternalEvent("never");
    }
    await hub.work({ entities, orchestrators: { calling, holding } });
    await hub.run("calling", ["add", 1]);
    await hub.start("holding", null, { instanceId: "owner" });
    await hub.until(async () => (await hub.client.getEntity(entity()))?.lockedBy === "owner");
    await hub.client.terminateOrchestration("owner");

    assert.equal(await hub.run("calling", ["add", 1]), 2);
    assert.equal((await hub.client.getEntity(entity())).lockedBy, undefined);
  }));
});

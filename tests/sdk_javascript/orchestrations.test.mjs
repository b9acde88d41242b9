import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { OrchestrationStatus, RetryPolicy, whenAll, whenAny } from "@microsoft/durabletask-js";

import { withHub } from "./hub.mjs";

const double = async (_, number) => number * 2;

describe("orchestrations", () => {
  test("results flow from one activity to the next", withHub(async (hub) => {
    async function* chain(context, number) {
      const first = yield context.callActivity("double", number);
      return yield context.callActivity("double", first);
    }
    await hub.work({ orchestrators: { chain }, activities: { double } });

    assert.equal(await hub.run("chain", 3), 12);
  }));

  test("a fan-out keeps its order", withHub(async (hub) => {
    async function* wide(context, count) {
      const numbers = [...Array(count).keys()];
      return yield whenAll(numbers.map((n) => context.callActivity("double", n)));
    }
    await hub.work({ orchestrators: { wide }, activities: { double } });

    assert.deepEqual(await hub.run("wide", 50), [...Array(50).keys()].map((n) => 2 * n));
  }));

  test("values come back as they went", withHub(async (hub) => {
    async function* echo(context, value) {
      return yield context.callActivity("same", value);
    }
    await hub.work({ orchestrators: { echo }, activities: { same: async (_, value) => value } });

    for (const value of [null, "", 0, false, [], {}, "æøå 🙂", { a: [1, null] }]) {
      assert.deepEqual(await hub.run("echo", value), value);
    }
  }));

  test("no input at all is no input", withHub(async (hub) => {
    async function* typed(_, input) {
      return typeof input;
    }
    await hub.work({ orchestrators: { typed } });

    assert.equal(await hub.run("typed"), "undefined");
  }));

  test("a child has the default id, knows its parent and returns to it", withHub(async (hub) => {
    async function* child(context, number) {
      return [context.instanceId, context.parent.instanceId, number];
    }
    async function* parent(context, number) {
      return yield context.callSubOrchestrator("child", number);
    }
    await hub.work({ orchestrators: { child, parent } });
    const id = await hub.start("parent", 7);
    const [childId, parentId, number] = await hub.output(id);

    assert.match(childId, /^[0-9a-f]{32}:[0-9a-f]{4}$/);
    assert.equal(parentId, id);
    assert.equal(number, 7);
  }));

  test("a child that fails tells its parent in its own words", withHub(async (hub) => {
    async function* child() {
      throw new TypeError("what was lost");
    }
    async function* parent(context) {
      try {
        yield context.callSubOrchestrator("child");
      } catch (error) {
        return [error.details.errorType, error.details.message];
      }
    }
    await hub.work({ orchestrators: { child, parent } });

    assert.deepEqual(await hub.run("parent"), ["TypeError", "what was lost"]);
  }));

  test("a child is retried under its id", withHub(async (hub) => {
    const ids = [];
    async function* child(context) {
      ids.push(context.instanceId);
      if (ids.length < 3) throw new Error("not yet");
      return "at last";
    }
    async function* parent(context) {
      const retry = new RetryPolicy({ maxNumberOfAttempts: 3, firstRetryIntervalInMilliseconds: 10 });
      return yield context.callSubOrchestrator("child", null, { retry, instanceId: "the-child" });
    }
    await hub.work({ orchestrators: { child, parent } });

    assert.equal(await hub.run("parent"), "at last");
    assert.deepEqual(ids, ["the-child", "the-child", "the-child"]);
  }));

  test("back-offs of 500 and 1000 ms can be told apart", withHub(async (hub) => {
    const starts = [];
    async function flaky() {
      starts.push(performance.now());
      if (starts.length < 3) throw new Error("not yet");
      return starts.length;
    }
    async function* patient(context) {
      const retry = new RetryPolicy({
        maxNumberOfAttempts: 3,
        firstRetryIntervalInMilliseconds: 500,
        backoffCoefficient: 2,
      });
      return yield context.callActivity("flaky", null, { retry });
    }
    await hub.work({ orchestrators: { patient }, activities: { flaky } });

    assert.equal(await hub.run("patient"), 3);
    const [first, second] = [starts[1] - starts[0], starts[2] - starts[1]];
    // Clocks of JavaScript tell whole milliseconds.
    assert.ok(first >= 499 && first < 999, `${first}`);
    assert.ok(second >= 999 && second < 2000, `${second}`);
  }));

  test("a timer never fires early", withHub(async (hub) => {
    async function* waiting(context) {
      const begun = context.currentUtcDateTime.getTime();
      yield context.createTimer(0.3);
      return context.currentUtcDateTime.getTime() - begun;
    }
    await hub.work({ orchestrators: { waiting } });
    const waited = await hub.run("waiting");

    assert.ok(waited >= 300 && waited < 1300, `${waited}`);
  }));

  test("an event wins against a timer", withHub(async (hub) => {
    async function* approval(context) {
      const approved = context.waitForExternalEvent("approve");
      const winner = yield whenAny([approved, context.createTimer(3 * 86400)]);
      return winner === approved ? "approved" : "timed out";
    }
    await hub.work({ orchestrators: { approval } });
    const id = await hub.start("approval");
    await hub.client.raiseOrchestrationEvent(id, "Approve", 1);

    assert.equal(await hub.output(id), "approved");
  }));

  test("an orchestrator that throws fails its instance", withHub(async (hub) => {
    async function* broken() {
      throw new RangeError("in the first turn");
    }
    await hub.work({ orchestrators: { broken } });
    const failure = await hub.failure(await hub.start("broken"));

    assert.deepEqual([failure.errorType, failure.message], ["RangeError", "in the first turn"]);
  }));

  test("an orchestrator that nobody has fails", withHub(async (hub) => {
    await hub.work({});

    assert.match((await hub.failure(await hub.start("nobody-has-it"))).message, /nobody-has-it/);
  }));

  test("the custom status shows while the instance runs", withHub(async (hub) => {
    async function* stages(context) {
      context.setCustomStatus({ stage: 1 });
      yield context.waitForExternalEvent("on");
      context.setCustomStatus({ stage: 2 });
    }
    await hub.work({ orchestrators: { stages } });
    const id = await hub.start("stages");
    await hub.started(id);
    const state = await hub.client.getOrchestrationState(id);
    assert.equal(state.serializedCustomStatus, '{"stage":1}');

    await hub.client.raiseOrchestrationEvent(id, "on");
    assert.equal((await hub.finished(id)).serializedCustomStatus, '{"stage":2}');
  }));

  test("tags and versions go with the instance", withHub(async (hub) => {
    async function* tagged(context) {
      return context.version;
    }
    await hub.work({ orchestrators: { tagged } });
    const id = await hub.start("tagged", null, { tags: { team: "blue" }, version: "1.2" });

    assert.equal(await hub.output(id), "1.2");
    assert.deepEqual((await hub.finished(id)).tags, { team: "blue" });
  }));

  test("a start in the future waits for its time", withHub(async (hub) => {
    async function* when(context) {
      return context.currentUtcDateTime.getTime();
    }
    await hub.work({ orchestrators: { when } });
    const due = Date.now() + 500;
    const id = await hub.start("when", null, { startAt: new Date(due) });

    assert.equal(await hub.status(id), OrchestrationStatus.PENDING);
    assert.ok((await hub.output(id)) >= due);
  }));

  test("activity, timer and child make twelve events, with the ids of their actions", withHub(async (hub) => {
    async function* child() {}
    async function* mixed(context) {
      yield context.callActivity("double", 1);
      yield context.createTimer(0.02);
      yield context.callSubOrchestrator("child");
    }
    await hub.work({ orchestrators: { child, mixed }, activities: { double } });
    const id = await hub.start("mixed");
    await hub.output(id);
    const events = await hub.history(id);

    assert.deepEqual(events.map((event) => event.type), [
      "OrchestratorStarted", "ExecutionStarted", "TaskScheduled",
      "OrchestratorStarted", "TaskCompleted", "TimerCreated",
      "OrchestratorStarted", "TimerFired", "SubOrchestrationInstanceCreated",
      "OrchestratorStarted", "SubOrchestrationInstanceCompleted", "ExecutionCompleted",
    ]);
    const ids = events.map((event) => event.eventId).filter((eventId) => eventId >= 0);
    assert.deepEqual(ids, [0, 1, 2, 3, 4]);
    assert.deepEqual(await hub.history("nobody"), []);
  }));
});

// A task hub as the official SDK for JavaScript sees it: one for each test.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import * as grpc from "@grpc/grpc-js";
import {
  NoOpLogger,
  OrchestrationStatus,
  TaskHubGrpcClient,
  TaskHubGrpcWorker,
} from "@microsoft/durabletask-js";

const ADDRESS = process.env.HUB_ADDRESS;
const WAIT_S = 20;

/** The body of a test: it gets an empty hub, which is closed when it has ended. */
export function withHub(body) {
  return async () => {
    const hub = new Hub(`js-${randomUUID()}`);
    try {
      await body(hub);
    } finally {
      // Not awaited: a worker of this SDK takes two seconds to stop.
      hub.close();
    }
  };
}

export class Hub {
  constructor(name) {
    this.name = name;
    this.workers = [];
    this.client = this.newClient();
  }

  options(name = this.name) {
    return {
      hostAddress: ADDRESS,
      logger: new NoOpLogger(),
      metadataGenerator: async () => {
        const metadata = new grpc.Metadata();
        metadata.set("taskhub", name);
        return metadata;
      },
    };
  }

  newClient(name) {
    return new TaskHubGrpcClient(this.options(name));
  }

  /** Start a worker; the keys are the names. */
  async work({ orchestrators = {}, activities = {}, entities = {}, ...more }) {
    const worker = new TaskHubGrpcWorker({ ...this.options(), ...more });
    for (const [name, run] of Object.entries(orchestrators)) worker.addNamedOrchestrator(name, run);
    for (const [name, run] of Object.entries(activities)) worker.addNamedActivity(name, run);
    for (const [name, make] of Object.entries(entities)) worker.addNamedEntity(name, make);
    await worker.start();
    this.workers.push(worker);
    return worker;
  }

  start(name, input, options) {
    return this.client.scheduleNewOrchestration(name, input, options);
  }

  finished(id) {
    return this.client.waitForOrchestrationCompletion(id, true, WAIT_S);
  }

  async output(id) {
    const state = await this.finished(id);
    const why = state.failureDetails?.message;
    assert.equal(state.runtimeStatus, OrchestrationStatus.COMPLETED, why);
    return state.serializedOutput ? JSON.parse(state.serializedOutput) : undefined;
  }

  async run(name, input, options) {
    return this.output(await this.start(name, input, options));
  }

  async failure(id) {
    const state = await this.finished(id);
    assert.equal(state.runtimeStatus, OrchestrationStatus.FAILED);
    return state.failureDetails;
  }

  started(id) {
    return this.client.waitForOrchestrationStart(id, false, WAIT_S);
  }

  async status(id) {
    return (await this.client.getOrchestrationState(id, false)).runtimeStatus;
  }

  async until(isSo) {
    const deadline = Date.now() + WAIT_S * 1000;
    while (!(await isSo())) {
      assert.ok(Date.now() < deadline, "it never was so");
      await sleep(20);
    }
  }

  async history(id) {
    return this.client.getOrchestrationHistory(id);
  }

  /** Stop a worker; what it holds is finished. */
  async stop(worker) {
    this.workers = this.workers.filter((each) => each !== worker);
    await worker.stop();
  }

  async close() {
    await Promise.all(this.workers.map((worker) => this.stop(worker)));
    await this.client.stop();
  }
}

export async function all(items) {
  const found = [];
  for await (const item of items) found.push(item);
  return found;
}

import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { inspect, newSession } from '../cluster/use-cluster.js';
import type { GatewayCluster } from '../support/cluster.js';
import { violationsIn } from '../support/invariants.js';
import { randomFrom } from '../support/random.js';
import { MessageFollower } from './message-follower.js';
import { MessagePublisher } from './message-publisher.js';

export const FAULTS_MS = Number(process.env['HOLDFAST_TEST_FAULTS_MS'] ?? 15_000);
export const SEED = Number(process.env['HOLDFAST_TEST_SEED'] ?? Date.now() % 1_000_000);
export const SESSIONS = 3;
export const NODES = 3;
const FOLLOWERS = 6;
const PUBLISHERS = 2;

/** @param upTo gives a number below its argument, the same ones for the same seed */
export type Fault = (upTo: (limit: number) => number) => Promise<unknown>;

/** Some publish into sessions of a cluster and others follow them, while it is broken in many ways. */
export class Campaign {
  readonly #cluster: GatewayCluster;
  readonly #done: string[] = [];
  readonly sessions = Array.from({ length: SESSIONS }, () => newSession());
  readonly followers: MessageFollower[];
  readonly publishers: MessagePublisher[];

  constructor(cluster: GatewayCluster) {
    this.#cluster = cluster;
    // What clients do is not part of the sequence of faults: they share no generator with it.
    const anyNode = () => cluster.node(Math.floor(Math.random() * NODES));
    const each = <T>(count: number, make: (sessionId: string, i: number) => T) =>
      this.sessions.flatMap((sessionId) => Array.from({ length: count }, (_, i) => make(sessionId, i)));
    this.followers = each(FOLLOWERS, (sessionId, i) => {
      return new MessageFollower(sessionId, () => anyNode().connectUrl, i % 2 === 0);
    });
    this.publishers = each(PUBLISHERS, (sessionId, i) => new MessagePublisher(sessionId, `p${i}`, anyNode));
  }

  get why(): string {
    return `after ${this.#done.join(', ')}`;
  }

  /** Runs the faults one after another, then waits until every follower has what the store has. */
  async run(faults: Record<string, Fault>): Promise<void> {
    for (const client of [...this.followers, ...this.publishers]) client.start();
    try {
      await this.#disturb(faults);
      await this.#cluster.heal();
      await Promise.all(this.publishers.map((publisher) => publisher.stop()));
      for (const follower of this.followers) follower.stay();
      for (const sessionId of this.sessions) await this.#settled(sessionId);
    } finally {
      await Promise.all([...this.publishers, ...this.followers].map((client) => client.stop()));
    }
  }

  async #disturb(faults: Record<string, Fault>): Promise<void> {
    const random = randomFrom(SEED);
    const upTo = (limit: number) => Math.floor(random() * limit);
    const names = Object.keys(faults);
    const endMs = performance.now() + FAULTS_MS;
    while (performance.now() < endMs) {
      const name = names[upTo(names.length)] ?? '';
      this.#done.push(name);
      await faults[name]?.(upTo);
      await sleep(upTo(600));
    }
  }

  async #settled(sessionId: string): Promise<void> {
    const { position } = await inspect(this.#cluster.node(0), sessionId);
    const following = this.followers.filter((follower) => follower.sessionId === sessionId);
    await expect
      .poll(() => following.map((follower) => follower.position), { timeout: 30_000, message: this.why })
      .toEqual(following.map(() => position));
  }

  check(): void {
    const histories = this.followers.flatMap(({ connections }) => connections);
    const violations = [...this.followers, ...this.publishers].flatMap((client) => client.violations);
    expect([...violations, ...violationsIn(histories)].slice(0, 20), this.why).toEqual([]);
  }

  /** Wherever it was seen or acknowledged, whatever the epoch, an offset is one message and a message has one offset. */
  checkNothingLost(): void {
    for (const sessionId of this.sessions) {
      const places = new Set<string>();
      for (const publisher of this.publishers.filter((it) => it.sessionId === sessionId)) {
        for (const [key, offset] of publisher.acknowledged) places.add(`${offset} ${key}`);
      }
      for (const follower of this.followers.filter((it) => it.sessionId === sessionId)) {
        for (const message of follower.messages) places.add(`${message.offset} ${keyOf(message)}`);
      }
      const [offsets, keys] = [0, 1].map((part) => new Set([...places].map((place) => place.split(' ')[part])));
      expect([offsets?.size, keys?.size], `${sessionId} ${this.why}`).toEqual([places.size, places.size]);
    }
  }
}

function keyOf(message: object): string {
  return (Reflect.get(message, 'data') as { key: string }).key;
}

/** Faults of nodes and their way to Redis. */
export function nodeFaults(cluster: () => GatewayCluster): Record<string, Fault> {
  return {
    kill: async (upTo) => {
      const node = cluster().node(upTo(NODES));
      await node.kill();
      await sleep(upTo(500));
      await node.start();
    },
    freeze: async (upTo) => {
      const node = cluster().node(upTo(NODES));
      node.pause();
      await sleep(200 + upTo(3_000));
      node.resume();
    },
  };
}

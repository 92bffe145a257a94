/** A tab in a real browser, by what its page tells. */
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import type { GatewayCluster } from '../support/cluster.js';
import type { GatewayProcess } from '../support/gateway-process.js';
import { historyOf } from '../support/message-calls.js';

/** For what takes as long as a connection may take to come back, on a machine with other things to do. */
export const POLL = { timeout: 15_000, interval: 20 };

/** What the page tells, in the order in which it happened. */
export interface Told {
  readonly type: string;
  readonly atMs: number;
  readonly [detail: string]: unknown;
}

/** One tab. What it told outlives its reloads. */
export class Probe {
  readonly page: Page;
  readonly told: Told[] = [];
  readonly #cluster: GatewayCluster;

  constructor(page: Page, cluster: GatewayCluster) {
    this.page = page;
    this.#cluster = cluster;
  }

  get sessionId(): string {
    return new URL(this.page.url()).searchParams.get('session') ?? '';
  }

  /** All of one type. */
  all(type: string): Told[] {
    return this.told.filter((it) => it.type === type);
  }

  last(type: string): Told | undefined {
    return this.told.findLast((it) => it.type === type);
  }

  get state(): unknown {
    return this.last('state')?.['name'];
  }

  get epoch(): number {
    return Number(this.last('state')?.['epoch']);
  }

  /** The node of the connection. */
  get node(): GatewayProcess {
    const opened = this.all('connection').findLast(({ name }) => name === 'open');
    const node = this.#cluster.nodes.find(({ nodeId }) => nodeId === opened?.['node']);
    if (node === undefined) throw new Error('the page never had a connection');
    return node;
  }

  async until(state: string, timeout = POLL.timeout): Promise<void> {
    await expect.poll(() => this.state, { ...POLL, timeout }).toBe(state);
  }

  /** Resolves when the page has been the owner since a moment after this call. */
  async untilOwnerAgain(timeout = POLL.timeout): Promise<void> {
    const before = this.all('state').length;
    const isAgain = () => this.all('state').length > before && this.state === 'owner';
    await expect.poll(isAgain, { ...POLL, timeout }).toBe(true);
  }

  async talk(everyMs = 50): Promise<void> {
    await this.page.evaluate(`probe.talk(${everyMs})`);
  }

  /**
   * Ends `talk`.
   * @returns how many messages it sent, once all of them are acknowledged, heard by the page and in the history: each
   * once, in the order in which they were sent
   */
  async hush(): Promise<number> {
    const count = await this.page.evaluate<number>('probe.hush()');
    const numbers = Array.from({ length: count }, (_, number) => number);
    await expect.poll(() => this.all('sent').length, POLL).toBe(count);
    await expect.poll(() => this.all('message').length, POLL).toBe(count);
    expect(this.all('message').map(({ data }) => data)).toEqual(numbers);
    expect(this.all('sent').map(({ data }) => data)).toEqual(numbers);
    const kept = await historyOf(this.#cluster.node(0), this.sessionId);
    expect(kept.map((message) => 'data' in message && message.data)).toEqual(numbers);
    expect(this.all('reset')).toEqual([]);
    return count;
  }

  /** How long the page was not the owner at most, from one time of being it to the next. */
  get longestAbsenceMs(): number {
    const states = this.all('state');
    const absences = states.map(({ name, atMs }, index) => {
      const back = states.slice(index).find((later) => later['name'] === 'owner');
      const wasOwner = states[index - 1]?.['name'] === 'owner';
      return wasOwner && name !== 'owner' && back !== undefined ? back.atMs - atMs : 0;
    });
    return Math.max(0, ...absences);
  }

  /** The states after the first `count`, in order. */
  statesSince(count: number): unknown[] {
    return this.all('state')
      .slice(count)
      .map(({ name }) => name);
  }

  /** For a failure's message: what it told last, without messages. */
  tail(): string {
    const notable = this.told.filter(({ type }) => type !== 'message' && type !== 'sent');
    return notable
      .slice(-40)
      .map((it) => JSON.stringify(it))
      .join('\n');
  }

  /** What a person may have been shown: errors, and the end of the login. */
  complaints(): Told[] {
    return this.told.filter(({ type }) => type === 'error' || type === 'login-ended');
  }
}

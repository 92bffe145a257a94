import { setImmediate } from 'node:timers/promises';
import type { Drainable, LeaveOptions } from '../../src/ops/drain.js';
import { FakeClock } from '../support/fake-clock.js';
import { silent } from '../support/silent.js';

export interface Leaving {
  index: number;
  atMs: number;
  holdMs: number;
  reason: string | undefined;
  /** The random part of the wait that it was told last. */
  jitterMs: number | undefined;
}

/** A node's connections, which leave when told to, and time that passes when the test says so. */
export class FakeConnections {
  readonly clock = new FakeClock();
  readonly #startMs = this.clock.monotonicMs();
  readonly all = new Set<Drainable>();
  /** In the order in which they were told to leave. */
  readonly left: Leaving[] = [];
  /** The random part of every wait that was told. */
  readonly hinted: number[] = [];
  #sleeping: { untilMs: number; wake: () => void }[] = [];
  #made = 0;

  constructor(count: number) {
    for (let i = 0; i < count; i += 1) this.add();
  }

  get options(): LeaveOptions {
    const sleep = (ms: number) =>
      new Promise<void>((wake) => this.#sleeping.push({ untilMs: this.clock.monotonicMs() + ms, wake }));
    return {
      connections: () => this.all,
      graceMs: 30_000,
      clock: this.clock,
      log: silent,
      sleep,
    };
  }

  add(): Drainable {
    const index = this.#made++;
    let reason: string | undefined;
    let jitterMs: number | undefined;
    const connection = {
      open: true,
      hint: (_afterMs: number, upToMs: number, why: string) => {
        reason = why;
        jitterMs = upToMs;
        this.hinted.push(upToMs);
      },
      leave: async (holdMs: number) => {
        connection.open = false;
        this.left.push({ index, atMs: this.clock.monotonicMs() - this.#startMs, holdMs, reason, jitterMs });
        this.all.delete(connection);
      },
    };
    this.all.add(connection);
    return connection;
  }

  /** Lets time pass, in small steps. */
  async pass(ms: number): Promise<void> {
    const endMs = this.clock.monotonicMs() + ms;
    while (this.clock.monotonicMs() < endMs) {
      this.clock.advance(Math.min(25, endMs - this.clock.monotonicMs()));
      const due = this.#sleeping.filter(({ untilMs }) => untilMs <= this.clock.monotonicMs());
      this.#sleeping = this.#sleeping.filter((sleeper) => !due.includes(sleeper));
      for (const { wake } of due) wake();
      await setImmediate();
    }
  }
}

import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Advice } from '../../src/ops/ports.js';
import { StoreHealth } from '../../src/ops/store-health.js';
import { FakeClock } from '../support/fake-clock.js';
import { silent } from '../support/silent.js';

function start({ strict = false } = {}) {
  const clock = new FakeClock();
  const store = { faults: [] as string[], answers: true, asked: 0, advice: undefined as Advice | undefined };
  const warnings: string[] = [];
  const lines: [message: string, code: unknown][] = [];
  const health = new StoreHealth({
    faults: () => store.faults,
    advice: () => store.advice,
    async answers() {
      store.asked += 1;
      return store.answers;
    },
    strict,
    clock,
    log: {
      ...silent,
      info: (fields, message) => lines.push([message, (fields as { code?: string }).code]),
      warn(fields, message) {
        warnings.push(message);
        lines.push([message, (fields as { code?: string }).code]);
      },
    },
  });
  onTestFinished(() => health.stop());
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 500) {
      clock.advance(500);
      health.look();
      await setImmediate();
    }
  };
  return { health, store, pass, warnings, lines };
}

const READY = { reasons: [], degraded: [] };

describe('a node whose store does not work', () => {
  it('is not ready after a while when others are answered: it alone has lost it', async () => {
    const { health, store, pass } = start();
    expect(health.verdict()).toEqual(READY);
    store.faults = ['events_not_delivered'];
    await pass(4_500);
    expect(health.verdict()).toEqual({ reasons: [], degraded: ['events_not_delivered'] });
    await pass(1_000);
    expect(health.verdict()).toEqual({ reasons: ['events_not_delivered'], degraded: [] });
    store.faults = [];
    expect(health.verdict()).toEqual(READY);
  });

  it('stays ready, degraded, when nobody is answered, for however long', async () => {
    const { health, store, pass, warnings } = start();
    health.look();
    store.faults = ['store_unreachable'];
    store.answers = false;
    await pass(60_000);
    expect(health.verdict()).toEqual({ reasons: [], degraded: ['store_unreachable'] });
    expect(Math.abs(store.asked - 30)).toBeLessThanOrEqual(6);
    expect(warnings).toEqual(['store does not work; open connections stay']);
    await pass(250_000);
    expect(warnings).toHaveLength(2);
  });

  it('is not ready when the store is back for others and not for it', async () => {
    const { health, store, pass } = start();
    health.look();
    store.faults = ['store_unreachable'];
    store.answers = false;
    await pass(20_000);
    store.answers = true;
    await pass(2_000);
    // It is back this moment, and the connections to it are being made.
    expect(health.verdict().reasons).toEqual([]);
    await pass(3_000);
    expect(health.verdict().reasons).toEqual(['store_unreachable']);
    store.answers = false;
    await pass(3_000);
    expect(health.verdict().reasons).toEqual([]);
  });

  it('is not ready before it has worked once', async () => {
    const { health, store } = start();
    store.faults = ['events_not_delivered'];
    store.answers = false;
    expect(health.verdict().reasons).toEqual(['events_not_delivered']);
    store.faults = [];
    expect(health.verdict()).toEqual(READY);
  });

  it('is not ready at all where that is wanted', () => {
    const { health, store } = start({ strict: true });
    health.look();
    store.faults = ['store_unreachable'];
    store.answers = false;
    expect(health.verdict()).toEqual({ reasons: ['store_unreachable'], degraded: [] });
  });

  it('says each time anew that it is alone', async () => {
    const { health, store, pass, warnings } = start();
    health.look();
    for (let times = 0; times < 2; times += 1) {
      store.faults = ['events_not_delivered'];
      await pass(6_000);
      store.faults = [];
      await pass(1_000);
    }
    expect(warnings.filter((warning) => warning.startsWith('the store answers others'))).toHaveLength(2);
  });

  it('says once what it is and once when it is over, and nothing of a mere reconnection', async () => {
    const { health, store, pass, lines } = start();
    health.look();
    store.faults = ['store_unreachable'];
    await pass(1_500);
    store.faults = [];
    await pass(500);
    expect(lines).toEqual([]);
    store.answers = false;
    store.faults = ['store_not_writable'];
    store.advice = { code: 'redis_not_saving', what: '', remedy: '', cause: '' };
    await pass(60_000);
    store.faults = [];
    await pass(500);
    expect(lines).toEqual([
      ['store does not work; open connections stay', 'redis_not_saving'],
      ['store works again', 'redis_not_saving'],
    ]);
  });

  it('says so when the cause changes', async () => {
    const { health, store, pass, lines } = start();
    health.look();
    store.answers = false;
    store.faults = ['store_unreachable'];
    for (const code of ['redis_unreachable', 'redis_read_only']) {
      store.advice = { code, what: '', remedy: '', cause: '' };
      await pass(40_000);
    }
    expect(lines.map(([, code]) => code)).toEqual(['redis_unreachable', 'redis_read_only']);
  });

  it('tells since when', async () => {
    const { health, store, pass } = start();
    health.look();
    await pass(2_000);
    expect(health.sinceMs).toBe(2_000);
    store.faults = ['store_unreachable'];
    health.look();
    expect(health.sinceMs).toBe(0);
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HoldfastError } from '../../src/protocol/errors.js';
import { type Lease, leaseMarginMs, NodeLeases } from '../../src/session/leases.js';
import type { OwnershipStore, RenewResult } from '../../src/session/ports.js';
import { FakeClock } from '../support/fake-clock.js';
import { silent } from '../support/silent.js';
import { FakeSubscriber } from './domain-harness.js';

const LEASE_MS = 4_000;

describe('the leases of a node', () => {
  const clock = new FakeClock();
  const renew = vi.fn<OwnershipStore['renew']>();
  const told: string[] = [];
  let leases: NodeLeases;
  let lease: Lease;

  const say = (what: string) => (about: Lease) => void told.push(`${what} ${about.sessionId} ${about.epoch}`);
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 50) {
      clock.advance(50);
      await vi.advanceTimersByTimeAsync(50);
    }
  };

  beforeEach(() => {
    vi.useFakeTimers();
    told.length = 0;
    renew.mockReset().mockImplementation(async (asked) => asked.map(() => 'renewed' as const));
    leases = new NodeLeases({
      store: { renew } as unknown as OwnershipStore,
      clock,
      log: silent,
      shortestLeaseMs: LEASE_MS,
      listener: {
        onUnconfirmed: say('unconfirmed'),
        onConfirmed: say('confirmed'),
        onLost: say('lost'),
        onMissing: say('missing'),
      },
    });
    const subscriber = new FakeSubscriber('ann');
    const granted = {
      sessionId: 's',
      connectionId: subscriber.id,
      epoch: 7,
      subscriber,
      principal: 'ann',
      tokenHash: 'h',
    };
    lease = leases.add({ ...granted, leaseMs: LEASE_MS }, leases.stamp());
  });
  afterEach(() => {
    leases.close();
    vi.useRealTimers();
  });

  const unavailable = async (): Promise<RenewResult[]> => {
    throw new HoldfastError('store_unavailable', 'away');
  };

  it('stay valid for as long as they are renewed', async () => {
    await pass(5 * LEASE_MS);
    expect(leases.isValid(lease)).toBe(true);
    expect(renew.mock.calls.length).toBeGreaterThanOrEqual(5 * 4 - 1);
    expect(told).toEqual([]);
  });

  it('end before the store lets them lapse when it cannot be reached, and say so once (O8)', async () => {
    await pass(1_000);
    const sentAtMs = clock.monotonicMs();
    renew.mockImplementation(unavailable);
    await pass(LEASE_MS);
    expect(leases.isValid(lease)).toBe(false);
    expect(told).toEqual(['unconfirmed s 7']);
    expect(lease.validUntilMs).toBeLessThanOrEqual(sentAtMs + LEASE_MS - leaseMarginMs(LEASE_MS));
  });

  it('are sure again at the same epoch once a renewal succeeds', async () => {
    renew.mockImplementation(unavailable);
    await pass(LEASE_MS);
    renew.mockImplementation(async (asked) => asked.map(() => 'renewed' as const));
    await pass(1_500);
    expect(told).toEqual(['unconfirmed s 7', 'confirmed s 7']);
    expect(leases.isValid(lease)).toBe(true);
  });

  it('count from when the renewal was sent, not from when it was answered', async () => {
    let answer: (results: RenewResult[]) => void = () => {};
    renew.mockImplementation(() => new Promise((resolve) => (answer = resolve)));
    const all = leases.renewAll();
    clock.advance(3_000);
    answer(['renewed']);
    await all;
    clock.advance(LEASE_MS - leaseMarginMs(LEASE_MS) - 3_000);
    expect(leases.isValid(lease)).toBe(false);
  });

  it('are not to be trusted after the machine slept, nor by an answer from before it', async () => {
    let answer: (results: RenewResult[]) => void = () => {};
    renew.mockImplementation(() => new Promise((resolve) => (answer = resolve)));
    const all = leases.renewAll();
    clock.jumpWall(60_000);
    expect(leases.isValid(lease)).toBe(false);
    answer(['renewed']);
    await all;
    expect(leases.isValid(lease)).toBe(false);
    renew.mockImplementation(async (asked) => asked.map(() => 'renewed' as const));
    await leases.renewAll();
    expect(leases.isValid(lease)).toBe(true);
  });

  it('tell what the store refused', async () => {
    renew.mockImplementation(async (asked) => asked.map(() => 'lost' as const));
    await leases.renewAll();
    renew.mockImplementation(async (asked) => asked.map(() => 'missing' as const));
    await leases.renewAll();
    expect(told).toEqual(['lost s 7', 'missing s 7']);
  });
});

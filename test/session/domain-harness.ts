import { randomUUID } from 'node:crypto';
import { macKeys, parseSecrets } from '../../src/crypto/secrets.js';
import { systemClock } from '../../src/lib/clock.js';
import type { ServerMessage } from '../../src/protocol/messages.js';
import type { HandoverPolicy, LeaseRef, OwnershipTimings } from '../../src/session/ports.js';
import { ReconnectTokens } from '../../src/session/reconnect-token.js';
import { ALL_RIGHTS, type SessionRights } from '../../src/session/rights.js';
import { leaseMsOf } from '../../src/session/session-node.js';
import { Sessions } from '../../src/session/sessions.js';
import type { Subscriber } from '../../src/session/subscriber.js';
import { MemoryBus } from '../../src/store/memory/bus.js';
import { MemoryLock } from '../../src/store/memory/lock.js';
import { MemoryOwnershipStore } from '../../src/store/memory/ownership-store.js';
import { quietSessions, silent } from '../support/silent.js';

export function testTokens(secrets = `test:${'s'.repeat(32)}`): ReconnectTokens {
  const parsed = parseSecrets(secrets);
  return new ReconnectTokens({ mac: macKeys(parsed, 'mac'), successor: macKeys(parsed, 'successor') });
}

/** A connection that keeps the frames that it was sent. */
export class FakeSubscriber implements Subscriber {
  readonly id = `c_${randomUUID()}`;
  readonly frames: ServerMessage[] = [];
  principal: string;
  readonly anonymous: boolean;
  rights: SessionRights = ALL_RIGHTS;
  open = true;

  constructor(principal: string, anonymous = false) {
    this.principal = principal;
    this.anonymous = anonymous;
  }

  restorePrincipal(principal: string): void {
    this.principal = principal;
  }

  send(message: ServerMessage): void {
    if (this.open) this.frames.push(message);
  }

  sendRendered(payload: Buffer): void {
    this.send(JSON.parse(payload.toString()) as ServerMessage);
  }

  /** The frames of one type, oldest first. */
  of<T extends ServerMessage['type']>(type: T): Extract<ServerMessage, { type: T }>[] {
    return this.frames.filter((frame): frame is Extract<ServerMessage, { type: T }> => frame.type === type);
  }

  last<T extends ServerMessage['type']>(type: T): Extract<ServerMessage, { type: T }> {
    const frame = this.of(type).at(-1);
    if (frame === undefined) throw new Error(`no ${type} among ${this.frames.map((sent) => sent.type).join(', ')}`);
    return frame;
  }
}

export const TIMINGS: OwnershipTimings = {
  maxSweepGapMs: 1_000,
  attemptWindowMs: 30_000,
  retentionMs: 3_600_000,
  handoverPatienceMs: 150,
  busyExtensionMs: 5_000,
};

/** The domain of one node over the memory store, with short times. */
export function startDomain(options: { graceMs?: number; policy?: HandoverPolicy } = {}) {
  const { graceMs = 120, policy = 'next_subscriber' } = options;
  const bus = new MemoryBus();
  const lock = new MemoryLock();
  const store = new MemoryOwnershipStore({ clock: systemClock, timings: TIMINGS, bus, lock });
  const granted: [Subscriber, LeaseRef][] = [];
  const sessions = new Sessions({
    store,
    bus,
    lock,
    tokens: testTokens(),
    clock: systemClock,
    log: silent,
    telemetry: quietSessions,
    nodeId: 'n1',
    bootId: 'b1',
    settingsOf: () => ({ graceMs, leaseMs: leaseMsOf(graceMs), handoverPolicy: policy, exposePrincipals: false }),
    shortestLeaseMs: leaseMsOf(graceMs),
    sweepEveryMs: 20,
    reconcileEveryMs: 10_000,
    onGranted: (subscriber, owned) => granted.push([subscriber, owned]),
  });
  sessions.start();
  return { sessions, store, bus, lock, granted };
}

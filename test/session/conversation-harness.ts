import { expect } from 'vitest';
import type { Clock } from '../../src/lib/clock.js';
import { systemClock } from '../../src/lib/clock.js';
import { HoldfastError } from '../../src/protocol/errors.js';
import type { Payload } from '../../src/protocol/messages.js';
import { acquire } from '../../src/session/acquisition.js';
import type { Application, Caller, OwnerMessage } from '../../src/session/application.js';
import { Conversation } from '../../src/session/conversation.js';
import type { AppendRequest, MessageStore } from '../../src/session/message-ports.js';
import type { SignalNotice } from '../../src/session/ports.js';
import type { Right, SessionRights } from '../../src/session/rights.js';
import { leaseMsOf, SessionNode, type SessionSettings } from '../../src/session/session-node.js';
import type { SessionTelemetry } from '../../src/session/telemetry.js';
import { MemoryBus } from '../../src/store/memory/bus.js';
import { MemoryLock } from '../../src/store/memory/lock.js';
import { MemoryMessageStore } from '../../src/store/memory/message-store.js';
import { MemoryOwnershipStore } from '../../src/store/memory/ownership-store.js';
import { FakeClock } from '../support/fake-clock.js';
import { quietSessions, silent } from '../support/silent.js';
import { FakeSubscriber, LINES, TIMINGS, testTokens } from './domain-harness.js';

export const away = () => new HoldfastError('application_unavailable', 'away');

/** Gives the rights in `allow`, and accepts everything. */
export class FakeApplication implements Application {
  readonly asked: Caller[] = [];
  readonly messages: OwnerMessage[] = [];
  readonly signals: [Caller, Payload][] = [];
  allow: Right[] = [];
  ttlMs = 30_000;
  /** What happens before an answer. */
  before: () => Promise<void> = async () => {};
  decide: (message: OwnerMessage) => Payload | Promise<Payload> = ({ payload }) => payload;

  async authorize(caller: Caller) {
    this.asked.push(caller);
    await this.before();
    return { allow: [...this.allow], ttlMs: this.ttlMs };
  }

  async accept(message: OwnerMessage): Promise<Payload> {
    this.messages.push(message);
    await this.before();
    return this.decide(message);
  }

  async signalled(caller: Caller, payload: Payload): Promise<void> {
    this.signals.push([caller, payload]);
  }
}

export const rightsTo = (...allowed: Right[]): SessionRights => ({ allows: (right) => allowed.includes(right) });

/** A connection whose rules give it these rights. */
export function connect(principal: string, ...rights: Right[]): FakeSubscriber {
  const subscriber = new FakeSubscriber(principal);
  subscriber.rights = rightsTo(...rights);
  return subscriber;
}

const GRACE_MS = 30_000;

/** One node over the memory stores, without timers of its own but for those of its leases. */
export function startConversation(options: { settings?: Partial<SessionSettings>; clock?: Clock } = {}) {
  const { clock = systemClock } = options;
  const settings: SessionSettings = {
    graceMs: GRACE_MS,
    leaseMs: leaseMsOf(GRACE_MS),
    handoverPolicy: 'next_subscriber',
    exposePrincipals: true,
    retention: { maxCount: 100, maxBytes: 100_000, maxAgeMs: 60_000, whenFull: 'drop_oldest' },
    maxMessageBytes: 1_000,
    sendsPerSecond: 0,
    presence: false,
    asks: { authorize: false, message: false },
    ...options.settings,
  };
  const application = new FakeApplication();
  const bus = new MemoryBus();
  const lock = new MemoryLock();
  const messages = new MemoryMessageStore({ clock, bus, records: (sessionId) => store.owner(sessionId) });
  const store = new MemoryOwnershipStore({ clock, timings: TIMINGS, bus, lock, streams: messages });
  const appends: AppendRequest[] = [];
  const counted: string[] = [];
  const telemetry: SessionTelemetry = {
    ...quietSessions,
    fenced: (by) => counted.push(`fenced ${by}`),
    published: (source, count) => counted.push(`published ${source} ${count}`),
    messageRefused: (code) => counted.push(`refused ${code}`),
    signalled: () => counted.push('signalled'),
  };
  /** Each append goes through here, and can be made to fail. */
  const seam: { append: MessageStore['append'] } = { append: (request) => messages.append(request) };
  const node = new SessionNode({
    store,
    messages: {
      append: (request) => {
        appends.push(request);
        // Frames are made by it.
        for (const { tail, bytes } of request.items) expect.soft(bytes).toBe(Buffer.byteLength(tail));
        return seam.append(request);
      },
      read: (...args) => messages.read(...args),
      states: (...args) => messages.states(...args),
      truncate: (...args) => messages.truncate(...args),
      remove: (...args) => messages.remove(...args),
    },
    presence: {
      partitions: 1,
      read: async () => ({ rev: 4, count: 2, members: [{ principal: 'alice', connections: 2 }] }),
      join: () => Promise.reject(new Error('not asked for')),
      renew: async () => {},
      leave: async () => {},
      sweep: async () => ({ ended: 0, more: false }),
    },
    application,
    frames: LINES,
    lagBytes: 1_000_000,
    bus,
    lock,
    tokens: testTokens(),
    clock,
    log: silent,
    telemetry,
    nodeId: 'n1',
    bootId: 'b1',
    settingsOf: () => settings,
    shortestLeaseMs: settings.leaseMs,
  });
  const conversation = new Conversation(node);
  bus.onEvent((event) => {
    if (event.kind === 'signal') conversation.deliverSignal(event satisfies SignalNotice);
    else if (event.kind === 'ownership') node.announce(event);
  });

  const follow = (subscriber: FakeSubscriber, sessionId: string) => {
    const followed = node.subscriptions.get(subscriber);
    if (followed === undefined) node.subscriptions.set(subscriber, new Set([sessionId]));
    else followed.add(sessionId);
    return bus.subscribe(sessionId);
  };

  const own = async (subscriber: FakeSubscriber, sessionId: string) => {
    await follow(subscriber, sessionId);
    const wish = { subscriber, sessionId, mode: 'claim', attemptId: undefined } as const;
    const { outcome, stamp, requestId } = await acquire(node, wish);
    node.grant(subscriber, sessionId, { ...outcome, stamp, reason: 'claimed', requestId });
    return outcome;
  };

  /** The connection is gone; its session goes to who comes next. */
  const leave = async (subscriber: FakeSubscriber, sessionId: string) => {
    const lease = node.leases.of(sessionId, subscriber);
    subscriber.open = false;
    node.subscriptions.delete(subscriber);
    node.access.forget(subscriber);
    if (lease !== undefined) node.depart(lease, { release: 'unsubscribed' });
    await node.departures.settled();
  };

  const close = () => node.close();

  const stored = async (sessionId: string) => {
    const { messages: entries } = await conversation.history(sessionId, { after: 0 }, 1_000);
    return entries;
  };

  return {
    node,
    conversation,
    application,
    settings,
    bus,
    lock,
    store,
    messages,
    seam,
    appends,
    counted,
    follow,
    own,
    leave,
    close,
    stored,
  };
}

export const SESSION = 'doc:1';

/** The same with a clock to move, and two who talk in `SESSION`. */
export function startTalk(settings: Partial<SessionSettings> = {}) {
  const clock = new FakeClock();
  const people = { alice: new FakeSubscriber('alice'), bob: new FakeSubscriber('bob') };
  return { ...startConversation({ settings, clock }), ...people, clock };
}

export const send = (data: unknown, more: { id?: string; idempotency_key?: string } = {}) =>
  ({ type: 'send', session_id: SESSION, data, ...more }) as const;

export const offsetsOf = (subscriber: FakeSubscriber) => subscriber.of('send_ack').map(({ offset }) => offset);

export { FakeSubscriber };

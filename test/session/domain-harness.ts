import { randomUUID } from 'node:crypto';
import { macKeys, parseSecrets } from '../../src/crypto/secrets.js';
import { systemClock } from '../../src/lib/clock.js';
import type { ClientMessage, ServerMessage } from '../../src/protocol/messages.js';
import type { Application } from '../../src/session/application.js';
import type { FrameEncoder } from '../../src/session/frame-encoder.js';
import type { Retention } from '../../src/session/message-ports.js';
import type { HandoverPolicy, LeaseRef, OwnershipTimings } from '../../src/session/ports.js';
import { ReconnectTokens } from '../../src/session/reconnect-token.js';
import { ALL_RIGHTS, type SessionRights } from '../../src/session/rights.js';
import { leaseMsOf, type SessionSettings } from '../../src/session/session-node.js';
import { Sessions } from '../../src/session/sessions.js';
import type { Subscriber } from '../../src/session/subscriber.js';
import { MemoryBus } from '../../src/store/memory/bus.js';
import { MemoryLock } from '../../src/store/memory/lock.js';
import { MemoryMessageStore } from '../../src/store/memory/message-store.js';
import { MemoryOwnershipStore } from '../../src/store/memory/ownership-store.js';
import { MemoryPresenceStore } from '../../src/store/memory/presence-store.js';
import { sendRequest } from '../support/send-request.js';
import { quietSessions, silent } from '../support/silent.js';

export function testTokens(secrets = `test:${'s'.repeat(32)}`): ReconnectTokens {
  const parsed = parseSecrets(secrets);
  return new ReconnectTokens({ mac: macKeys(parsed, 'mac'), successor: macKeys(parsed, 'successor') });
}

const COMPRESSED = /^compressed/;

/** A frame is a line of text here. */
export const LINES: FrameEncoder = {
  plain: ({ head, tail }) => Buffer.from(`${head}${tail.toString()}\n`),
  compressed: ({ head, tail }) => Buffer.from(`compressed${head}${tail.toString()}\n`),
  joined: (parts) => Buffer.concat(parts.map((part) => (Buffer.isBuffer(part) ? part : LINES.plain(part)))),
};

type Send = Extract<ClientMessage, { type: 'send' }>;

/** Sends a message. Resolves when it is acknowledged. */
export function say(by: Pick<Sessions, 'send'>, subscriber: Subscriber, message: Send): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: unknown) => (error === undefined ? resolve() : reject(error));
    by.send(subscriber, sendRequest(message), { done });
  });
}

/** An application that is never asked. */
export const NO_APPLICATION: Application = {
  authorize: () => Promise.reject(new Error('authorize')),
  accept: () => Promise.reject(new Error('accept')),
  signalled: async () => {},
};

/** A connection that keeps the frames that it was sent. */
export class FakeSubscriber implements Subscriber {
  readonly id = `c_${randomUUID()}`;
  readonly frames: ServerMessage[] = [];
  principal: string;
  readonly anonymous: boolean;
  rights: SessionRights = ALL_RIGHTS;
  open = true;
  compresses = false;
  /** Each write of whole frames, as it came. */
  readonly writes: Buffer[] = [];
  /** Whether what is written is left lying, as by a peer that does not read. */
  stalled = false;
  queuedBytes = 0;
  #onDrained: (() => void)[] = [];

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

  sendFrame(frame: Buffer): void {
    this.sendFrames(frame);
  }

  sendFrames(frames: Buffer): void {
    if (!this.open) return;
    this.writes.push(frames);
    if (this.stalled) this.queuedBytes += frames.length;
    for (const line of frames.toString().split('\n')) {
      if (line !== '') this.send(JSON.parse(line.replace(COMPRESSED, '')) as ServerMessage);
    }
  }

  onDrained(callback: () => void): void {
    this.#onDrained.push(callback);
    if (!this.stalled) this.drain();
  }

  /** The peer takes everything that was written. */
  drain(): void {
    this.queuedBytes = 0;
    const callbacks = this.#onDrained.splice(0);
    setImmediate(() => {
      if (this.open) for (const callback of callbacks) callback();
    });
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

export const RETENTION: Retention = { maxCount: 1_000, maxBytes: 1_048_576, maxAgeMs: 60_000, whenFull: 'drop_oldest' };

export interface DomainOptions {
  graceMs?: number;
  policy?: HandoverPolicy;
  settings?: Partial<SessionSettings>;
  lagBytes?: number;
  application?: Application;
}

/** The domain of one node over the memory stores, with short times. */
export function startDomain({ graceMs = 120, policy = 'next_subscriber', ...options }: DomainOptions = {}) {
  const clock = systemClock;
  const bus = new MemoryBus();
  const lock = new MemoryLock();
  const messages = new MemoryMessageStore({ clock, bus, records: (sessionId) => store.owner(sessionId) });
  const store = new MemoryOwnershipStore({ clock, timings: TIMINGS, bus, lock, streams: messages });
  const granted: [Subscriber, LeaseRef][] = [];
  const settings: SessionSettings = {
    graceMs,
    leaseMs: leaseMsOf(graceMs),
    handoverPolicy: policy,
    exposePrincipals: false,
    retention: RETENTION,
    maxMessageBytes: 65_536,
    sendsPerSecond: 0,
    presence: false,
    asks: { authorize: false, message: false },
    ...options.settings,
  };
  const sessions = new Sessions({
    store,
    messages,
    presence: new MemoryPresenceStore({ clock, timings: { presenceTtlMs: 90_000 }, bus }),
    application: options.application ?? NO_APPLICATION,
    frames: LINES,
    lagBytes: options.lagBytes ?? 65_536,
    bus,
    lock,
    tokens: testTokens(),
    clock,
    log: silent,
    telemetry: quietSessions,
    nodeId: 'n1',
    bootId: 'b1',
    settingsOf: () => settings,
    shortestLeaseMs: leaseMsOf(graceMs),
    sweepEveryMs: 20,
    reconcileEveryMs: 10_000,
    hasPresence: options.settings?.presence === true,
    onGranted: (subscriber, owned) => granted.push([subscriber, owned]),
  });
  sessions.start();
  return { sessions, store, messages, bus, lock, granted };
}

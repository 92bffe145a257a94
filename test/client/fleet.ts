import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { type Client, createClient, type Session } from '../../src/client/index.js';
import { eventually } from '../support/redis-process.js';

const ARRIVALS_PER_SECOND = 400;
/** What an owner's session may be in while it is an owner that is away. */
const AWAY: ReadonlySet<string> = new Set(['reconnecting', 'unconfirmed']);
/** A reconnect token that was not good for what it is for. */
const REFUSED = /"token_status":"expired"|"code":"(?:invalid_reconnect_token|reconnect_token_used)"/;

/** By how much some may be later than others before it shows in the rate at which they come back. */
const ROOM_MS = 100;

/** What happened to a fleet from one moment to another. Times are of this process's monotonic clock. */
export class Leg {
  readonly #delay = monitorEventLoopDelay({ resolution: 10 });
  readonly startedMs = performance.now();
  /** When each connection was welcomed. */
  readonly welcomesMs: number[] = [];
  /** How long each owner that came back had not been one. */
  readonly absencesMs: number[] = [];
  /** When the last of them was one again. */
  lastBackMs = this.startedMs;
  /** How many connections ended with each code. */
  readonly closes = new Map<number, number>();

  constructor() {
    this.#delay.enable();
  }

  isBack(absenceMs: number): void {
    this.absencesMs.push(absenceMs);
    this.lastBackMs = performance.now();
  }

  /** How much later than others some came back for the machine's sake: after a close, or since this process was late. */
  get latenessMs(): number {
    return Math.max(0, ...this.absencesMs) + this.#delay.max / 1e6;
  }

  /** How many may have come back within a second, had they been closed at that pace: as many, on a machine that keeps up. */
  atMost(perSecond: number): number {
    const { latenessMs } = this;
    return latenessMs <= ROOM_MS ? perSecond : Math.floor(perSecond * (1 + latenessMs / 1_000));
  }

  end(): void {
    this.#delay.disable();
  }
}

/** Many clients, each of which owns one session and sends numbered messages in it. */
export class Fleet {
  leg = new Leg();
  /** Sessions whose owner was ever refused, or became anything but the owner again. */
  readonly lost = new Set<string>();
  readonly #members: Member[] = [];
  readonly #connectUrl: string;
  readonly #everyMs: number;

  /** @param everyMs how often each owner sends a message; 0: never */
  constructor(connectUrl: string, { everyMs = 0 } = {}) {
    this.#connectUrl = connectUrl;
    this.#everyMs = everyMs;
  }

  /** @throws Error when not all of them are owners in time */
  async enlist(count: number, newSession: () => string): Promise<void> {
    const startedMs = performance.now();
    for (let i = 0; i < count; i += 1) {
      const aheadMs = (i / ARRIVALS_PER_SECOND) * 1_000 - (performance.now() - startedMs);
      if (aheadMs > 0) await sleep(aheadMs);
      this.#members.push(new Member(this, this.#connectUrl, newSession(), this.#everyMs));
    }
    await this.untilAllOwn();
    this.begin();
  }

  /** What happens from now on is counted anew. */
  begin(): Leg {
    this.leg.end();
    this.leg = new Leg();
    return this.leg;
  }

  get size(): number {
    return this.#members.length;
  }

  get owners(): number {
    return this.#members.filter(({ owns }) => owns).length;
  }

  /** How many a node serves. */
  on(nodeId: string): number {
    return this.#members.filter(({ nodeId: at }) => at === nodeId).length;
  }

  async untilAllOwn(timeoutMs = 60_000): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    while (this.owners < this.size) {
      if (performance.now() > endMs) throw new Error(`${this.owners} of ${this.size} are owners`);
      await sleep(20);
    }
  }

  /** Sends no more, and waits for what is on its way. @returns how many were sent, never arrived, and arrived again */
  async settle(): Promise<{ sent: number; lost: number; doubled: number }> {
    for (const member of this.#members) member.stopSending();
    const sum = (of: (member: Member) => number) => this.#members.reduce((total, member) => total + of(member), 0);
    await eventually('what was sent', async () => sum(({ missing }) => missing) === 0).catch(() => {});
    return {
      sent: sum(({ sent }) => sent),
      lost: sum(({ missing }) => missing),
      doubled: sum(({ doubled }) => doubled),
    };
  }

  close(): void {
    this.leg.end();
    for (const member of this.#members.splice(0)) member.close();
  }
}

class Member {
  nodeId: string | undefined;
  sent = 0;
  doubled = 0;
  readonly #arrived = new Set<number>();
  readonly #client: Client;
  readonly #session: Session;
  #leftMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(fleet: Fleet, url: string, sessionId: string, everyMs: number) {
    this.#client = createClient({ url, WebSocket: watched(() => fleet.lost.add(sessionId)) });
    this.#client.on('connection', (state) => {
      if (state.name === 'open') {
        this.nodeId = state.welcome.node;
        fleet.leg.welcomesMs.push(performance.now());
      } else if (state.name === 'waiting' && this.nodeId !== undefined) {
        this.nodeId = undefined;
        fleet.leg.closes.set(state.code, (fleet.leg.closes.get(state.code) ?? 0) + 1);
      }
    });
    this.#session = this.#client.session(sessionId);
    this.#session.on('state', ({ state, previous }) => {
      if (previous.name === 'owner') this.#leftMs = performance.now();
      if (state.name === 'owner') {
        if (this.#leftMs === undefined) this.#sendEvery(everyMs);
        else fleet.leg.isBack(performance.now() - this.#leftMs);
      } else if (this.#leftMs !== undefined && !AWAY.has(state.name)) fleet.lost.add(sessionId);
    });
    this.#session.on('message', ({ data }) => {
      const number = data as number;
      if (this.#arrived.has(number)) this.doubled += 1;
      this.#arrived.add(number);
    });
  }

  get owns(): boolean {
    return this.#session.state.name === 'owner';
  }

  get missing(): number {
    return this.sent - this.#arrived.size;
  }

  stopSending(): void {
    clearInterval(this.#timer);
  }

  close(): void {
    this.stopSending();
    this.#client.close();
  }

  #sendEvery(ms: number): void {
    if (ms === 0) return;
    const send = () => {
      this.sent += 1;
      // One that could not be sent is missing in the end.
      this.#session.send(this.sent).catch(() => {});
    };
    // Not all in the same moment.
    this.#timer = setTimeout(() => {
      send();
      this.#timer = setInterval(send, ms);
    }, Math.random() * ms);
  }
}

/** A WebSocket that tells when a reconnect token was refused. The client goes on with a claim, and does not. */
function watched(onRefused: () => void) {
  return class extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      this.on('message', (frame: Buffer) => {
        if (REFUSED.test(frame.toString())) onRefused();
      });
    }
  };
}

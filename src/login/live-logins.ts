/** The connections of this node by login and principal: closes them when their login ends, and says that it is in use. */
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import { NoticeReader } from '../lib/notice-log.js';
import type { CloseReason } from '../protocol/close-codes.js';
import type { ControlLog, ControlNotice, LoginEndReason } from './ports.js';
import type { LoginTelemetry } from './telemetry.js';

/** How a connection is closed whose login is over. */
export type LoginCloseReason = Extract<CloseReason, 'revoked' | 'login_ended' | 'token_reuse'>;

export function loginCloseReason(reason: LoginEndReason): LoginCloseReason {
  return reason === 'revoked' || reason === 'token_reuse' ? reason : 'login_ended';
}

/** A login as the store has it: why it is over, or when it ends unless something happens before. */
export type LoginStanding<T = unknown> = { ended: LoginEndReason } | ({ ended?: never; endsAtMs: number } & T);

/** Whose connection it is: a login's, or one that came with a JWT of the application. */
export type LiveIdentity = { handle: string } | { principalHandle: string; issuedAtMs: number };

interface Closable {
  close(reason: LoginCloseReason): void;
}

export interface LiveLoginsOptions {
  control: ControlLog;
  /** Records that the login is in use; `active` when by more than answers to heartbeats. */
  touch(handle: string, active: boolean): Promise<LoginStanding>;
  /** From when on the application's JWTs for the principal count, ms since 1970. */
  notBeforeMs(principalHandle: string): Promise<number>;
  clock: Clock;
  log: Log;
  telemetry: LoginTelemetry;
  /** How often a login is touched, or a principal's mark read, at most. Must be well below a login's idle expiry. */
  touchEveryMs?: number;
  pollEveryMs?: number;
}

const TOUCH_EVERY_MS = 60_000;
/** Until the store is asked again whether a login is over whose time should have come. */
const ASK_AGAIN_MS = 1_000;

/** What the connections of one login, or those of one principal that have none, share. */
class Group {
  readonly key: string;
  /** Undefined for connections without a login. */
  readonly handle: string | undefined;
  /** Of those. */
  readonly principalHandle: string;
  readonly members = new Set<Registration>();
  /** When the store is asked because of a sign of life. */
  touchDueAtMs = 0;
  /** Frames came that no touch has told of. */
  active = false;
  /** When the store is asked whether the login is over, ms since 1970. */
  askAtMs = Number.POSITIVE_INFINITY;

  constructor(identity: LiveIdentity) {
    this.key = keyOf(identity);
    this.handle = 'handle' in identity ? identity.handle : undefined;
    this.principalHandle = 'handle' in identity ? '' : identity.principalHandle;
  }
}

/**
 * One connection's place in the register. Made before the login is read, so that what ends it meanwhile is found in
 * `ended`; bound to the connection once there is one.
 */
export class Registration {
  /** Why the connection must not be, or must no longer be. */
  ended: LoginCloseReason | undefined = undefined;
  /** Of the application's JWT that the connection has now; 0 for a login. */
  issuedAtMs: number;
  readonly #live: LiveLogins;
  readonly #group: Group;
  #connection: Closable | undefined = undefined;

  constructor(live: LiveLogins, group: Group, issuedAtMs: number) {
    this.#live = live;
    this.#group = group;
    this.issuedAtMs = issuedAtMs;
  }

  bind(connection: Closable): void {
    this.#connection = connection;
  }

  remove(): void {
    this.#live.remove(this.#group, this);
  }

  /** No connection came of it. */
  abandon(): void {
    if (this.#connection === undefined) this.remove();
  }

  /** The connection sent something. */
  frame(): void {
    this.#live.seen(this.#group, true);
  }

  /** The connection answered a heartbeat. */
  pong(): void {
    this.#live.seen(this.#group, false);
  }

  /** What was read of the login. */
  learn(standing: LoginStanding): void {
    this.#live.learn(this.#group, standing);
  }

  end(reason: LoginCloseReason): void {
    this.ended ??= reason;
    this.#connection?.close(reason);
  }

  /** Asks the store when the login should be over. @returns in how many ms to look again */
  look(nowMs: number): number {
    return this.#live.look(this.#group, nowMs);
  }
}

export class LiveLogins {
  readonly #options: LiveLoginsOptions & { touchEveryMs: number };
  readonly #groups = new Map<string, Group>();
  readonly #notices: NoticeReader<ControlNotice>;
  #touchFails = false;

  constructor(options: LiveLoginsOptions) {
    this.#options = { touchEveryMs: TOUCH_EVERY_MS, ...options };
    this.#notices = new NoticeReader({
      ...options,
      notices: options.control,
      what: 'revocations',
      apply: (notice) => this.#apply(notice),
    });
  }

  /** Reads the control log from its end on. Resolves before the first connection may be registered. */
  start(): Promise<void> {
    return this.#notices.start();
  }

  stop(): void {
    this.#notices.stop();
  }

  /** Tells the telemetry how things are now. */
  report(): void {
    let logins = 0;
    for (const { handle } of this.#groups.values()) if (handle !== undefined) logins += 1;
    this.#options.telemetry.liveLogins(logins, this.#notices.lagMs);
  }

  register(identity: LiveIdentity): Registration {
    let group = this.#groups.get(keyOf(identity));
    if (group === undefined) {
      group = new Group(identity);
      this.#groups.set(group.key, group);
      const { clock, touchEveryMs } = this.#options;
      // The mark is read when the connection is made; a login is told at once that it is in use.
      if (group.handle === undefined) group.touchDueAtMs = clock.monotonicMs() + touchEveryMs;
    }
    const registration = new Registration(this, group, 'handle' in identity ? 0 : identity.issuedAtMs);
    group.members.add(registration);
    return registration;
  }

  /** Logins, and principals without one, that have connections here. */
  get size(): number {
    return this.#groups.size;
  }

  remove(group: Group, registration: Registration): void {
    group.members.delete(registration);
    if (group.members.size === 0 && this.#groups.get(group.key) === group) this.#groups.delete(group.key);
  }

  seen(group: Group, active: boolean): void {
    group.active ||= active;
    if (this.#options.clock.monotonicMs() >= group.touchDueAtMs) void this.#touch(group);
  }

  learn(group: Group, standing: LoginStanding): void {
    if (standing.ended === undefined) group.askAtMs = standing.endsAtMs;
    else endAll(group, loginCloseReason(standing.ended));
  }

  look(group: Group, nowMs: number): number {
    if (group.handle !== undefined && nowMs >= group.askAtMs) {
      // By the store's clock it may have a moment left; and the store may be away.
      group.askAtMs = nowMs + ASK_AGAIN_MS;
      void this.#touch(group);
    }
    return group.askAtMs - nowMs;
  }

  /** What has ended without this node hearing of it is found here: the last bound of a revocation. */
  async #touch(group: Group): Promise<void> {
    const { clock, log, touch, notBeforeMs, touchEveryMs } = this.#options;
    group.touchDueAtMs = clock.monotonicMs() + touchEveryMs;
    const { active } = group;
    group.active = false;
    try {
      if (group.handle === undefined) endIssuedBefore(group, await notBeforeMs(group.principalHandle));
      else this.learn(group, await touch(group.handle, active));
      this.#touchFails = false;
    } catch (error) {
      group.active ||= active;
      if (!this.#touchFails) log.warn({ error }, 'activity of logins not recorded');
      this.#touchFails = true;
    }
  }

  #apply(notice: ControlNotice): void {
    if (notice.kind === 'login_ended') endAll(this.#groups.get(keyOf(notice)), loginCloseReason(notice.reason));
    else if (notice.kind === 'principal_disconnected')
      endIssuedBefore(this.#groups.get(keyOf(notice)), notice.notBeforeMs);
  }
}

function endAll(group: Group | undefined, reason: LoginCloseReason): void {
  for (const registration of group?.members ?? []) registration.end(reason);
}

function endIssuedBefore(group: Group | undefined, notBeforeMs: number): void {
  for (const registration of group?.members ?? []) {
    if (registration.issuedAtMs < notBeforeMs) registration.end('revoked');
  }
}

function keyOf(subject: { handle: string } | { principalHandle: string }): string {
  return 'handle' in subject ? `login ${subject.handle}` : `principal ${subject.principalHandle}`;
}

import type { Clock } from '../../lib/clock.js';
import {
  begin,
  end,
  eventOf,
  isRepeat,
  lapse,
  present,
  recordOf,
  type StoredLogin,
  touch,
} from '../../login/machine.js';
import type {
  CreateLogin,
  CreateLoginResult,
  LoginEndReason,
  LoginEvent,
  LoginRecord,
  LoginStore,
  LoginTimings,
  OwnedSession,
  PresentedToken,
  PresentResult,
  TouchLogin,
} from '../../login/ports.js';
import { AuditLog } from './audit-log.js';
import { storeTime } from './store-time.js';

const MAX_EVENTS = 1_000;
const MAX_OWNED = 1_000;
const DROP_EVERY_MS = 60_000;

interface Kept {
  login: StoredLogin;
  /** When the record is dropped. */
  untilMs: number;
  /** By connection and session. */
  owned: Map<string, OwnedSession>;
}

export interface MemoryLoginStoreOptions {
  clock: Clock;
  timings: LoginTimings;
  /** Is told of logins that end before their time. */
  outbox?: { revoked(handle: string, principal: string, reason: string): void };
}

/** Logins of one process. Each verb runs the state machine synchronously, which makes it atomic. */
export class MemoryLoginStore implements LoginStore {
  readonly #timings: LoginTimings;
  readonly #now: () => number;
  readonly #kept = new Map<string, Kept>();
  /** Ids that the application chose: as many as it ever chose. */
  readonly #taken = new Set<string>();
  /** Handles of the logins that may be active, by principal. */
  readonly #ofPrincipal = new Map<string, Set<string>>();
  readonly #audit: AuditLog;
  readonly #outbox: MemoryLoginStoreOptions['outbox'];
  readonly #onEnded = new Set<(handle: string) => void>();
  #droppedAtMs = 0;

  constructor({ clock, timings, outbox }: MemoryLoginStoreOptions) {
    this.#outbox = outbox;
    const time = storeTime(clock);
    this.#now = () => time().ms;
    this.#timings = timings;
    this.#audit = new AuditLog(timings.maxAuditEvents);
  }

  async create(request: CreateLogin): Promise<{ result: CreateLoginResult; login?: LoginRecord }> {
    const nowMs = this.#now();
    this.#dropOld(nowMs);
    const { handle, principalHandle } = request;
    const existing = this.#current(handle, nowMs);
    const others = this.#active(principalHandle, nowMs).filter((login) => login !== existing);
    if (others.length >= this.#timings.maxLoginsPerPrincipal) return { result: 'too_many' };
    if (existing !== undefined) {
      return isRepeat(existing, request) ? { result: 'replayed', login: recordOf(existing) } : { result: 'duplicate' };
    }
    if (this.#taken.has(handle)) return { result: 'duplicate' };
    const login = begin(request, nowMs);
    if (login === undefined) return { result: 'invalid_expiry' };
    if (request.chosen) this.#taken.add(handle);
    const handles = this.#ofPrincipal.get(principalHandle);
    if (handles === undefined) this.#ofPrincipal.set(principalHandle, new Set([handle]));
    else handles.add(handle);
    return { result: 'created', login: this.#commit(undefined, login, nowMs) };
  }

  async read(handle: string): Promise<LoginRecord | undefined> {
    const login = this.#current(handle, this.#now());
    return login && recordOf(login);
  }

  async touch(handle: string, change: TouchLogin): Promise<{ changed: boolean; login?: LoginRecord }> {
    const nowMs = this.#now();
    const login = this.#current(handle, nowMs);
    if (login === undefined) return { changed: false };
    const touched = login.state === 'active' ? touch(login, change, nowMs) : undefined;
    if (touched === undefined) return { changed: false, login: recordOf(login) };
    return { changed: true, login: this.#commit(login, touched, nowMs) };
  }

  async present(handle: string, token: PresentedToken): Promise<{ result: PresentResult; login?: LoginRecord }> {
    const nowMs = this.#now();
    const before = this.#current(handle, nowMs);
    if (before === undefined) return { result: 'unknown' };
    const { result, login } = present(before, token, nowMs, this.#timings.reuseIntervalMs);
    if (result === 'unknown') return { result };
    return { result, login: this.#commit(before, login, nowMs) };
  }

  async end(handle: string, reason: LoginEndReason): Promise<{ ended: boolean; login?: LoginRecord }> {
    const nowMs = this.#now();
    const login = this.#current(handle, nowMs);
    if (login === undefined) return { ended: false };
    if (login.state !== 'active') return { ended: false, login: recordOf(login) };
    return { ended: true, login: this.#commit(login, end(login, reason, nowMs), nowMs) };
  }

  async list(principalHandle: string): Promise<LoginRecord[]> {
    return this.#active(principalHandle, this.#now()).map(recordOf);
  }

  async events(handle: string): Promise<LoginEvent[]> {
    return this.#audit.of(handle, MAX_EVENTS);
  }

  async noteOwned(handle: string, session: OwnedSession): Promise<void> {
    const owned = this.#kept.get(handle)?.owned;
    if (owned === undefined) return;
    const key = JSON.stringify([session.connectionId, session.sessionId]);
    if ((owned.get(key)?.epoch ?? 0) < session.epoch) owned.set(key, session);
    if (owned.size <= MAX_OWNED) return;
    const [oldest] = [...owned].sort(([, a], [, b]) => a.epoch - b.epoch);
    if (oldest !== undefined) owned.delete(oldest[0]);
  }

  async owned(handle: string): Promise<OwnedSession[]> {
    return [...(this.#kept.get(handle)?.owned.values() ?? [])].sort((a, b) => a.epoch - b.epoch);
  }

  /** For what lives and dies with a login: its upstream grant. */
  onEnded(listener: (handle: string) => void): void {
    this.#onEnded.add(listener);
  }

  isActive(handle: string): boolean {
    return this.#current(handle, this.#now())?.state === 'active';
  }

  /** Writes an event that is not about the record. */
  note(handle: string, kind: LoginEvent['kind'], fields: Readonly<Record<string, string>>): void {
    this.#audit.append({ atMs: this.#now(), handle, kind, fields });
  }

  /** The login, ended first if it has lapsed. */
  #current(handle: string, nowMs: number): StoredLogin | undefined {
    const kept = this.#kept.get(handle);
    if (kept === undefined || kept.untilMs <= nowMs) return undefined;
    const lapsed = lapse(kept.login, nowMs);
    this.#commit(kept.login, lapsed, nowMs);
    return lapsed;
  }

  /** The principal's active logins, oldest first. */
  #active(principalHandle: string, nowMs: number): StoredLogin[] {
    const handles = this.#ofPrincipal.get(principalHandle) ?? [];
    return [...handles].flatMap((handle) => {
      const login = this.#current(handle, nowMs);
      return login?.state === 'active' ? [login] : [];
    });
  }

  #commit(before: StoredLogin | undefined, after: StoredLogin, nowMs: number): LoginRecord {
    const { handle } = after;
    const active = after.state === 'active';
    if (before !== after) {
      const kept = this.#kept.get(handle);
      const untilMs = (active ? after.maxExpiresAtMs : nowMs) + this.#timings.retentionMs;
      this.#kept.set(handle, { login: after, untilMs, owned: kept?.owned ?? new Map() });
      const event = eventOf(before, after);
      if (event !== undefined) this.#audit.append({ atMs: nowMs, handle, ...event });
      if (!active) this.#ended(after);
      if (after.state === 'revoked') this.#outbox?.revoked(handle, after.principal, after.endReason);
    }
    return recordOf(after);
  }

  #ended({ handle, principalHandle }: StoredLogin): void {
    const handles = this.#ofPrincipal.get(principalHandle);
    handles?.delete(handle);
    if (handles?.size === 0) this.#ofPrincipal.delete(principalHandle);
    for (const listener of this.#onEnded) listener(handle);
  }

  #dropOld(nowMs: number): void {
    if (nowMs - this.#droppedAtMs < DROP_EVERY_MS) return;
    this.#droppedAtMs = nowMs;
    for (const [handle, { login, untilMs }] of this.#kept) {
      if (untilMs > nowMs) continue;
      this.#kept.delete(handle);
      this.#ended(login);
    }
  }
}

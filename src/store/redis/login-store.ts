import { randomUUID } from 'node:crypto';
import { stateAfter } from '../../login/machine.js';
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
import type { RedisConnection } from './client.js';
import { call } from './errors.js';
import { eventOf, principalHandleOf, recordOf } from './login-replies.js';
import { type OutboxSettings, outboxLiterals } from './outbox-settings.js';
import { PARTITIONS } from './partitions.js';
import { type ScriptName, Scripts } from './scripts.js';

const MAX_EVENTS = 1_000;
const EVENTS_A_READ = 1_000;
const MAX_OWNED = 1_000;
/** Longer than a create can take between its place on the principal's list and its record. */
const UNMADE_MS = 60_000;

/**
 * Logins in Redis. Each verb is one script call, in scripts/login-*.lua, that mirrors the state machine; a call whose
 * outcome is unknown is sent again, and then answered alike. A principal's list has a slot of its own, so that it is
 * written by a call before the login's.
 */
export class RedisLoginStore implements LoginStore {
  readonly #connection: RedisConnection;
  readonly #scripts: Scripts;

  /** @param outbox absent: nobody is told of revocations */
  constructor(connection: RedisConnection, timings: LoginTimings, outbox?: OutboxSettings) {
    this.#connection = connection;
    this.#scripts = new Scripts(connection.commands, {
      REUSE_INTERVAL_MS: timings.reuseIntervalMs,
      RETENTION_MS: timings.retentionMs,
      MAX_AUDIT_EVENTS: Math.ceil(timings.maxAuditEvents / PARTITIONS),
      MAX_LOGINS: timings.maxLoginsPerPrincipal,
      ...outboxLiterals(outbox),
    });
  }

  async create(request: CreateLogin): Promise<{ result: CreateLoginResult; login?: LoginRecord }> {
    const { handle, principalHandle, maxMs } = request;
    if (!(await this.#reserve(request))) {
      // Those that lapsed unseen have a place until somebody looks.
      await this.list(principalHandle);
      if (!(await this.#reserve(request))) return { result: 'too_many' };
    }
    const keys = [...this.#loginKeys(handle), this.#keys.loginTaken(handle)];
    const reply = await this.#run('login-create', keys, [
      handle,
      request.loginId,
      request.chosen ? 1 : 0,
      request.requestHash,
      request.principal,
      principalHandle,
      request.attributes,
      request.rights,
      request.idleMs,
      maxMs,
      request.expiresAtMs,
      request.tokenHash,
    ]);
    const login = recordOf(handle, reply);
    // Once more, for a list that was read between the two calls has cut its time short.
    if (login?.state === 'active') await this.#reserve(request);
    return { result: reply[0] as CreateLoginResult, ...(login && { login }) };
  }

  async read(handle: string): Promise<LoginRecord | undefined> {
    return recordOf(handle, await this.#onLogin('login-read', handle));
  }

  async touch(handle: string, change: TouchLogin): Promise<{ changed: boolean; login?: LoginRecord }> {
    const { active, expiresAtMs = '', attributes = '', rights = '' } = change;
    const reply = await this.#onLogin('login-touch', handle, [active ? 1 : 0, expiresAtMs, attributes, rights]);
    const login = recordOf(handle, reply);
    return { changed: reply[0] === 'changed', ...(login && { login }) };
  }

  async present(handle: string, token: PresentedToken): Promise<{ result: PresentResult; login?: LoginRecord }> {
    const { generation, tokenHash, successorHash, rotate, spare = false } = token;
    const args = [randomUUID(), generation, tokenHash, successorHash, rotate ? 1 : 0, spare ? 1 : 0];
    const reply = await this.#onLogin('login-present', handle, args);
    const login = recordOf(handle, reply);
    return { result: reply[0] as PresentResult, ...(login && { login }) };
  }

  async end(handle: string, reason: LoginEndReason): Promise<{ ended: boolean; login?: LoginRecord }> {
    const reply = await this.#onLogin('login-end', handle, [stateAfter(reason), reason, randomUUID()]);
    const login = recordOf(handle, reply);
    return { ended: reply[0] === 'ended', ...(login && { login }) };
  }

  async list(principalHandle: string): Promise<LoginRecord[]> {
    const key = this.#keys.principalLogins(principalHandle);
    const handles = await this.#call('zrange', () => this.#connection.commands.zrange(key, 0, '-1'));
    const active: LoginRecord[] = [];
    const over: (string | number)[] = [];
    await Promise.all(
      handles.map(async (handle) => {
        const reply = await this.#onLogin('login-read', handle);
        const login = recordOf(handle, reply);
        // A taken id was asked for in the name of another principal.
        const isTheirs = principalHandleOf(reply) === principalHandle;
        if (login?.state === 'active' && isTheirs) active.push(login);
        else over.push(login === undefined ? 1 : 0, handle);
      }),
    );
    if (over.length > 0) await this.#run('login-unlist', [key], [UNMADE_MS, ...over]);
    return active.sort((a, b) => a.createdAtMs - b.createdAtMs);
  }

  async events(handle: string): Promise<LoginEvent[]> {
    const key = this.#keys.audit(handle);
    const newest: LoginEvent[] = [];
    for (let from = '+'; newest.length < MAX_EVENTS; ) {
      const entries = await this.#call('xrevrange', () =>
        this.#connection.commands.xrevrange(key, from, '-', 'COUNT', EVENTS_A_READ),
      );
      newest.push(...entries.map(eventOf).filter((event) => event.handle === handle));
      const last = entries.at(-1);
      if (last === undefined || entries.length < EVENTS_A_READ) break;
      from = `(${last[0]}`;
    }
    return newest.slice(0, MAX_EVENTS).reverse();
  }

  async noteOwned(handle: string, { sessionId, connectionId, epoch }: OwnedSession): Promise<void> {
    const keys = [this.#keys.login(handle), this.#keys.loginOwned(handle)];
    await this.#run('login-own', keys, [epoch, JSON.stringify([connectionId, sessionId]), MAX_OWNED]);
  }

  async owned(handle: string): Promise<OwnedSession[]> {
    const key = this.#keys.loginOwned(handle);
    const flat = await this.#call('zrange', () => this.#connection.commands.zrange(key, 0, '-1', 'WITHSCORES'));
    const owned: OwnedSession[] = [];
    for (let i = 0; i < flat.length; i += 2) {
      const [connectionId, sessionId] = JSON.parse(flat[i] ?? '') as [string, string];
      owned.push({ sessionId, connectionId, epoch: Number(flat[i + 1]) });
    }
    return owned;
  }

  get #keys() {
    return this.#connection.keys;
  }

  /** @returns false when the principal's list is full */
  async #reserve({ handle, principalHandle, maxMs }: CreateLogin): Promise<boolean> {
    // The list's master may have another time than the login's.
    const args = [handle, maxMs + UNMADE_MS];
    const reply = await this.#run('login-reserve', [this.#keys.principalLogins(principalHandle)], args);
    return Number(reply) === 1;
  }

  #loginKeys(handle: string): string[] {
    const keys = this.#keys;
    return [keys.login(handle), keys.audit(handle), keys.upstream(handle), keys.loginOwned(handle)];
  }

  #onLogin(name: ScriptName, handle: string, args: readonly (string | number)[] = []): Promise<string[]> {
    return this.#run(name, this.#loginKeys(handle), [handle, ...args]);
  }

  async #run(name: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<string[]> {
    return (await this.#call(name, () => this.#scripts.run(name, keys, args))) as string[];
  }

  #call<T>(verb: string, attempt: () => Promise<T>): Promise<T> {
    return call(this.#connection.telemetry, verb, attempt);
  }
}

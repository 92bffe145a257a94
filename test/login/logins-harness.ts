import { randomBytes } from 'node:crypto';
import type { Log } from '../../src/lib/log.js';
import { parseSigningKeys, SigningKeys } from '../../src/login/access-token.js';
import { CredentialError, type JwtVerifier } from '../../src/login/jwt.js';
import { Logins } from '../../src/login/logins.js';
import type { LoginsOptions } from '../../src/login/options.js';
import type { ControlNotice } from '../../src/login/ports.js';
import { HoldfastError } from '../../src/protocol/errors.js';
import { MemoryControlLog } from '../../src/store/memory/control-log.js';
import { MemoryLoginStore } from '../../src/store/memory/login-store.js';
import { MemoryOneTimeStore } from '../../src/store/memory/one-time-store.js';
import { MemoryPrincipalMarks } from '../../src/store/memory/principal-marks.js';
import { FakeClock } from '../support/fake-clock.js';
import { quietLogins } from '../support/silent.js';

export const REUSE_MS = 30_000;
export const IDLE_MS = 3_600_000;
export const MAX_MS = 24 * IDLE_MS;
export const ACCESS_MS = 300_000;

export const secret = (id: string) => ({ id, value: randomBytes(32).toString('hex') });

/** A token that `fakeJwt` believes. */
export const appJwt = (claims: { sub: string; iatMs?: number; expMs: number }) =>
  `app.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;

/** Takes what `appJwt` writes at its word, and counts. */
function fakeJwt(): JwtVerifier & { calls: number } {
  return {
    calls: 0,
    async verify(token) {
      this.calls += 1;
      const [kind, body = ''] = token.split('.');
      if (kind !== 'app') throw new CredentialError('not a JWT');
      const { sub, iatMs = 0, expMs } = JSON.parse(Buffer.from(body, 'base64url').toString());
      return { subject: sub, issuedAtMs: iatMs, expiresAtMs: expMs, rights: [] };
    },
  };
}

/** Passes calls on and writes down what they were given. */
function recorded<T extends object>(port: T, seen: unknown[]): T {
  return new Proxy(port, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        seen.push(args);
        return value.apply(target, args);
      };
    },
  });
}

/** A store over memory, and any number of nodes over that. */
export function deployment() {
  const clock = new FakeClock();
  const timings = { reuseIntervalMs: REUSE_MS, retentionMs: IDLE_MS, maxAuditEvents: 1_000, maxLoginsPerPrincipal: 3 };
  const seen: unknown[] = [];
  const memory = new MemoryLoginStore({ clock, timings });
  const store = recorded(memory, seen);
  const control = recorded(new MemoryControlLog(), seen);
  const oneTime = recorded(new MemoryOneTimeStore({ clock }), seen);
  const marks = recorded(new MemoryPrincipalMarks({ clock }), seen);
  const verifier = fakeJwt();
  const released: string[] = [];
  const logged: { level: string; fields: Record<string, unknown>; message: string }[] = [];
  const at = (level: string) => (fields: object, message: string) =>
    void logged.push({ level, fields: { ...fields }, message });
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const secrets = [secret('a')];
  const signing = SigningKeys.ofSeeds(parseSigningKeys(`s1:${randomBytes(32).toString('base64url')}`));
  const settings = {
    accessTokenTtlMs: ACCESS_MS,
    ticketTtlMs: 30_000,
    codeTtlMs: 60_000,
    repeatableMs: IDLE_MS / 2,
    loginIdleMs: IDLE_MS,
    loginMaxMs: MAX_MS,
    markTtlMs: MAX_MS,
  };
  const node = (changes: Partial<LoginsOptions> | { jwt: undefined } = {}) =>
    new Logins({
      store,
      control,
      oneTime,
      marks,
      secrets,
      signing,
      jwt: verifier,
      clock,
      log,
      telemetry: quietLogins,
      settings,
      released: async (handle) => void released.push(handle),
      ...(changes as Partial<LoginsOptions>),
    });
  const notices = async (): Promise<ControlNotice[]> => (await control.read('0')).notices;
  /** As a store of upstream grants does. */
  const note = async (handle: string) => memory.note(handle, 'grant_stored', {});
  return { clock, note, store, oneTime, control, verifier, secrets, settings, seen, logged, released, node, notices };
}

/** The code of the HoldfastError with which it fails. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    (value) => new Error(`resolved with ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  );
  if (error instanceof HoldfastError) return error.field === undefined ? error.code : `${error.code} ${error.field}`;
  throw error;
}

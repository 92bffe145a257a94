import { randomBytes } from 'node:crypto';
import type {
  ControlLog,
  CreateLogin,
  LoginRecord,
  LoginStore,
  LoginTimings,
  OneTimeStore,
  PresentedToken,
  PrincipalMarks,
} from '../../src/login/ports.js';

/** What an implementation brings along to be held to the contract. */
export interface LoginHarness {
  store: LoginStore;
  /** Another node's store over the same data; where there is only one node, the same. */
  other: LoginStore;
  control: ControlLog;
  oneTime: OneTimeStore;
  otherOneTime: OneTimeStore;
  marks: PrincipalMarks;
  timings: LoginTimings;
  /** Makes one login that much older, whatever the time; its events keep their times. */
  age(handle: string, ms: number): Promise<void>;
  /** Lets the store's time pass. */
  wait(ms: number): Promise<void>;
  close(): Promise<void>;
}

export type MakeLoginHarness = (timings?: Partial<LoginTimings>) => Promise<LoginHarness>;

export const REUSE_MS = 30_000;
export const IDLE_MS = 3_600_000;
export const MAX_MS = 10 * IDLE_MS;
export const RETENTION_MS = 60_000;
/** More than a slow machine takes for the calls of one test. */
export const SLACK_MS = 5_000;

export const TEST_LOGIN_TIMINGS: LoginTimings = {
  reuseIntervalMs: REUSE_MS,
  retentionMs: RETENTION_MS,
  maxAuditEvents: 100_000,
  maxLoginsPerPrincipal: 100,
};

const hex = () => randomBytes(32).toString('hex');
const handle = () => `sha256:v1:${hex()}`;

/** Hash of the nth token of a login, 1 being the first. */
export const tokenOf = (login: Pick<CreateLogin, 'handle'>, generation: number) => `${login.handle}#${generation}`;

export function loginRequest(extra: Partial<CreateLogin> = {}): CreateLogin {
  const own = handle();
  return {
    handle: own,
    loginId: `login_${hex()}`,
    chosen: false,
    requestHash: '',
    principal: 'alice',
    principalHandle: handle(),
    attributes: '{"device":"phone"}',
    rights: '[{"sessions":["chat:*"],"allow":["watch"]}]',
    idleMs: IDLE_MS,
    maxMs: MAX_MS,
    expiresAtMs: 0,
    tokenHash: tokenOf({ handle: own }, 1),
    ...extra,
  };
}

/** The login's nth token, presented. */
export function presented(login: Pick<CreateLogin, 'handle'>, generation: number, rotate = true): PresentedToken {
  return {
    generation,
    tokenHash: tokenOf(login, generation),
    successorHash: tokenOf(login, generation + 1),
    rotate,
  };
}

/** A new login, and what to do with it. */
export async function startLogin(harness: LoginHarness, extra: Partial<CreateLogin> = {}) {
  const request = loginRequest(extra);
  const { result, login } = await harness.store.create(request);
  if (result !== 'created' || login === undefined) throw new Error(`not created: ${result}`);
  return {
    request,
    login,
    handle: request.handle,
    /** Presents the nth token. @returns the result */
    present: async (generation: number, rotate = true, store = harness.store) =>
      (await store.present(request.handle, presented(request, generation, rotate))).result,
    read: async (): Promise<LoginRecord> => {
      const record = await harness.store.read(request.handle);
      if (record === undefined) throw new Error('no record');
      return record;
    },
    age: (ms: number) => harness.age(request.handle, ms),
  };
}

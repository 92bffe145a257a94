/**
 * Logins as a pure state machine: record, command and the store's time in; record and result out. The memory store runs
 * it; the Redis scripts mirror it, and one contract suite and one model test hold both to it.
 */
import type {
  CreateLogin,
  LoginEndReason,
  LoginEvent,
  LoginRecord,
  LoginState,
  PresentedToken,
  PresentResult,
  TouchLogin,
} from './ports.js';

/** A login with what only the store needs to know. Hashes are empty, times and ends 0, for none. */
export interface StoredLogin extends LoginRecord {
  principalHandle: string;
  requestHash: string;
  idleMs: number;
  /** The application set the end: activity does not move it. */
  fixedEnd: boolean;
  tokenHash: string;
  /** When the current token was first presented. */
  firstUsedAtMs: number;
  /** When the current token became that; 0 for one that another node made and this store never saw. */
  rotatedAtMs: number;
  previousHash: string;
  previous2Hash: string;
  previous2UntilMs: number;
}

/** The record's fields that events tell of, by their stored names. */
export const EVENT_FIELDS = {
  principal: 'principal',
  attributes: 'attributes',
  rights: 'rights',
  created_at: 'createdAtMs',
  last_seen_at: 'lastSeenAtMs',
  expires_at: 'expiresAtMs',
  max_expires_at: 'maxExpiresAtMs',
  generation: 'generation',
  state: 'state',
  ended_at: 'endedAtMs',
  end_reason: 'endReason',
} as const satisfies Record<string, keyof LoginRecord>;

/** Signs of life that move times by less are not recorded, or one bearer could flush the audit stream with them. */
const ACTIVITY_STEP_MS = 30_000;

/** The login's beginning; undefined when the end that was asked for is not in the future. */
export function begin(request: CreateLogin, nowMs: number): StoredLogin | undefined {
  const fixedEnd = request.expiresAtMs !== 0;
  if (fixedEnd && request.expiresAtMs <= nowMs) return undefined;
  const maxExpiresAtMs = nowMs + request.maxMs;
  const { loginId, handle, principal, principalHandle, attributes, rights, requestHash, idleMs, tokenHash } = request;
  return {
    loginId,
    handle,
    principal,
    principalHandle,
    attributes,
    rights,
    requestHash,
    idleMs,
    tokenHash,
    createdAtMs: nowMs,
    lastSeenAtMs: nowMs,
    expiresAtMs: Math.min(fixedEnd ? request.expiresAtMs : nowMs + idleMs, maxExpiresAtMs),
    maxExpiresAtMs,
    generation: 1,
    state: 'active',
    endedAtMs: 0,
    endReason: '',
    fixedEnd,
    firstUsedAtMs: 0,
    rotatedAtMs: nowMs,
    previousHash: '',
    previous2Hash: '',
    previous2UntilMs: 0,
  };
}

/** Whether the request is the one that made this login, sent again. */
export function isRepeat(login: StoredLogin, { requestHash, tokenHash }: CreateLogin): boolean {
  return login.tokenHash === tokenHash || (requestHash !== '' && login.requestHash === requestHash);
}

/** By time, or by somebody. */
export function stateAfter(reason: LoginEndReason): Exclude<LoginState, 'active'> {
  return reason === 'idle' || reason === 'max_age' || reason === 'expired' ? 'expired' : 'revoked';
}

export function end(login: StoredLogin, reason: LoginEndReason, nowMs: number): StoredLogin {
  return { ...login, state: stateAfter(reason), endedAtMs: nowMs, endReason: reason };
}

/** The login, ended at the time at which it lapsed if that has passed. */
export function lapse(login: StoredLogin, nowMs: number): StoredLogin {
  if (login.state !== 'active' || nowMs < login.expiresAtMs) return login;
  const isMax = login.expiresAtMs >= login.maxExpiresAtMs;
  return end(login, isMax ? 'max_age' : login.fixedEnd ? 'expired' : 'idle', login.expiresAtMs);
}

/**
 * The active login after a sign of life or a change by the application; undefined when the end that was asked for is
 * not in the future.
 */
export function touch(login: StoredLogin, change: TouchLogin, nowMs: number): StoredLogin | undefined {
  const { active, expiresAtMs, attributes, rights } = change;
  if (expiresAtMs !== undefined && expiresAtMs <= nowMs) return undefined;
  const alive = active ? slid(login, nowMs) : { ...login, lastSeenAtMs: nowMs };
  if (expiresAtMs === undefined && attributes === undefined && rights === undefined) return worth(alive, login);
  const seen = { ...alive, attributes: attributes ?? login.attributes, rights: rights ?? login.rights };
  if (expiresAtMs === undefined) return seen;
  return { ...seen, fixedEnd: true, expiresAtMs: Math.min(expiresAtMs, login.maxExpiresAtMs) };
}

function slid(login: StoredLogin, nowMs: number): StoredLogin {
  const expiresAtMs = login.fixedEnd ? login.expiresAtMs : Math.min(nowMs + login.idleMs, login.maxExpiresAtMs);
  return { ...login, lastSeenAtMs: nowMs, expiresAtMs };
}

function used(login: StoredLogin, nowMs: number): StoredLogin {
  return worth(slid(login, nowMs), login);
}

/** The login with its new times, if one of them moved far enough to be recorded. */
function worth(alive: StoredLogin, login: StoredLogin): StoredLogin {
  const stepMs = Math.min(ACTIVITY_STEP_MS, login.idleMs / 20);
  const moved = (time: 'lastSeenAtMs' | 'expiresAtMs') => alive[time] - login[time] >= stepMs;
  return moved('lastSeenAtMs') || moved('expiresAtMs') ? alive : login;
}

interface Presented {
  result: PresentResult;
  login: StoredLogin;
}

/** Presents a token whose MAC is genuine to a login that was lapsed first if it was due. */
export function present(login: StoredLogin, token: PresentedToken, nowMs: number, reuseIntervalMs: number): Presented {
  if (login.state !== 'active') return { result: 'ended', login };
  const { tokenHash, generation } = token;
  if (tokenHash === login.tokenHash) return presentCurrent(login, token, nowMs, reuseIntervalMs);
  if (mayRepeat(login, tokenHash, nowMs, reuseIntervalMs)) return { result: 'replayed', login: used(login, nowMs) };
  if (generation > login.generation) {
    // A genuine token that the store never saw: it lost the rotation in a failover, and the bearer is ahead of it.
    const adopted = {
      ...login,
      previousHash: login.tokenHash,
      tokenHash,
      generation,
      firstUsedAtMs: 0,
      rotatedAtMs: 0,
    };
    return presentCurrent(adopted, token, nowMs, reuseIntervalMs);
  }
  if (generation === login.generation) return { result: 'unknown', login };
  return { result: 'reused', login: token.spare ? login : end(login, 'token_reuse', nowMs) };
}

/** A predecessor counts until its successor's first use and the reuse interval after that. */
function mayRepeat(login: StoredLogin, tokenHash: string, nowMs: number, reuseIntervalMs: number): boolean {
  const { previousHash, firstUsedAtMs, previous2Hash, previous2UntilMs } = login;
  if (tokenHash === previousHash) return firstUsedAtMs === 0 || nowMs < firstUsedAtMs + reuseIntervalMs;
  return tokenHash === previous2Hash && nowMs < previous2UntilMs;
}

function presentCurrent(login: StoredLogin, token: PresentedToken, nowMs: number, reuseIntervalMs: number): Presented {
  const firstUsedAtMs = login.firstUsedAtMs === 0 ? nowMs : login.firstUsedAtMs;
  if (!token.rotate || nowMs - login.rotatedAtMs < reuseIntervalMs) {
    return { result: 'current', login: { ...used(login, nowMs), firstUsedAtMs } };
  }
  const rotated: StoredLogin = {
    ...slid(login, nowMs),
    generation: login.generation + 1,
    tokenHash: token.successorHash,
    rotatedAtMs: nowMs,
    firstUsedAtMs: 0,
    previousHash: login.tokenHash,
    previous2Hash: login.previousHash,
    previous2UntilMs: firstUsedAtMs + reuseIntervalMs,
  };
  return { result: 'rotated', login: rotated };
}

/** What an event tells of the step from `before` to `after`; undefined when it changed nothing that events tell of. */
export function eventOf(
  before: StoredLogin | undefined,
  after: StoredLogin,
): Pick<LoginEvent, 'kind' | 'fields'> | undefined {
  const changed = Object.entries(EVENT_FIELDS).filter(([, key]) => before?.[key] !== after[key]);
  if (changed.length === 0) return undefined;
  const fields = Object.fromEntries(changed.map(([name, key]) => [name, String(after[key])]));
  if (before === undefined) return { kind: 'created', fields };
  if (before.state !== after.state) return { kind: 'ended', fields };
  return { kind: before.generation === after.generation ? 'touched' : 'refreshed', fields };
}

/** The part of the record that callers see. */
export function recordOf(login: StoredLogin): LoginRecord {
  const { loginId, handle, principal, attributes, rights, createdAtMs, lastSeenAtMs, expiresAtMs } = login;
  const { maxExpiresAtMs, generation, state, endedAtMs, endReason } = login;
  return {
    loginId,
    handle,
    principal,
    attributes,
    rights,
    createdAtMs,
    lastSeenAtMs,
    expiresAtMs,
    maxExpiresAtMs,
    generation,
    state,
    endedAtMs,
    endReason,
  };
}

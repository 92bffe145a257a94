import { timingSafeEqual } from 'node:crypto';
import { v4 as uuidV4 } from 'uuid';
import { sha256 } from '../crypto/hash.js';
import type { MacKey } from '../crypto/secrets.js';
import { ANONYMOUS_PREFIX } from './record.js';

const TOKEN = /^([0-9a-f-]{36})\.([A-Za-z0-9_-]{43})$/;

/** Anonymous principals are made up per connection: the token, not the name, is what binds. */
function bindingOf(principal: string): string {
  return principal.startsWith(ANONYMOUS_PREFIX) ? ANONYMOUS_PREFIX : principal;
}

/**
 * Reconnect tokens: `<uuid v4>.<MAC over session, principal and uuid>`. With an attempt id the uuid is derived from
 * session, principal, presented token and attempt, so that every node gives a repeated attempt the same successor.
 */
export class ReconnectTokens {
  readonly #macKeys: readonly MacKey[];
  readonly #successorKeys: readonly MacKey[];

  /** Keys by rank: the first of each signs, all verify. */
  constructor(keys: { mac: readonly MacKey[]; successor: readonly MacKey[] }) {
    this.#macKeys = keys.mac;
    this.#successorKeys = keys.successor;
  }

  /** The token for a new owner. `presented` is the token it gives up; empty when it has none. */
  next(sessionId: string, principal: string, presented: string, attemptId: string | undefined): string {
    if (attemptId === undefined) return this.#seal(this.#macKeys[0], sessionId, principal, uuidV4());
    return this.#derive(0, sessionId, principal, presented, attemptId);
  }

  /** The successor that an earlier run of the attempt was given, also by a node that signs with another key. */
  successor(
    tokenHash: string,
    sessionId: string,
    principal: string,
    presented: string,
    attemptId: string,
  ): string | undefined {
    for (const rank of this.#macKeys.keys()) {
      const token = this.#derive(rank, sessionId, principal, presented, attemptId);
      if (this.hash(token) === tokenHash) return token;
    }
    return undefined;
  }

  /** True for a token that this deployment gave out for that session and principal, current or not. */
  isGenuine(sessionId: string, principal: string, token: string): boolean {
    const match = TOKEN.exec(token);
    if (match === null) return false;
    const [, uuid = '', mac = ''] = match;
    const given = Buffer.from(mac, 'base64url');
    if (given.length !== 32) return false;
    let genuine = false;
    for (const key of this.#macKeys) {
      if (timingSafeEqual(key.mac(sessionId, bindingOf(principal), uuid), given)) genuine = true;
    }
    return genuine;
  }

  /** What the store keeps of a token. */
  hash(token: string): string {
    return sha256('reconnect-token', token);
  }

  /** What the store keeps of an attempt id; empty for none. */
  hashAttempt(sessionId: string, attemptId: string | undefined): string {
    return attemptId === undefined ? '' : sha256('attempt', sessionId, attemptId);
  }

  #derive(rank: number, sessionId: string, principal: string, presented: string, attemptId: string): string {
    const bits = this.#successorKeys[rank]?.mac(sessionId, bindingOf(principal), presented, attemptId);
    return this.#seal(this.#macKeys[rank], sessionId, principal, uuidV4({ random: bits?.subarray(0, 16) ?? never() }));
  }

  #seal(key: MacKey | undefined, sessionId: string, principal: string, uuid: string): string {
    const mac = (key ?? never()).mac(sessionId, bindingOf(principal), uuid).toString('base64url');
    return `${uuid}.${mac}`;
  }
}

function never(): never {
  throw new RangeError('reconnect tokens need at least one secret');
}

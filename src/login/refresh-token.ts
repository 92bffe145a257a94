import { timingSafeEqual } from 'node:crypto';
import { sha256 } from '../crypto/hash.js';
import { MacKey } from '../crypto/secrets.js';
import { isLoginId } from './handles.js';

const MAX_LENGTH = 1024;
const TOKEN =
  /^hfr1\.([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]{43,171})\.([1-9][0-9]{0,8})\.([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})$/;

/** What every refresh token begins with, and no other credential. */
export const REFRESH_TOKEN_PREFIX = 'hfr1.';

export interface RefreshToken {
  loginId: string;
  /** From 1 on. */
  generation: number;
  /** 32 bytes, base64url; each follows from the one before. */
  chain: string;
}

/** Why a text is no refresh token of this deployment. For logs: the caller is told one thing for all of them. */
export type RefreshTokenFault = 'malformed' | 'unknown_key' | 'forged';

/**
 * Refresh tokens: `hfr1.<kid>.<login id, base64url>.<generation>.<chain>.<mac>`, the MAC over login id, generation and
 * chain.
 *
 * A successor's chain is a hash of its predecessor's, and the first one a hash of the login code. So any node gives
 * whoever repeats a refresh or an exchange the same token, without a read and without storing one. No secret enters
 * the chain: a predecessor is then followed by the same token on nodes that sign with different secrets. What makes a
 * token is its MAC, and the store knows it by a hash that leaves key id and MAC out, so that secrets can be replaced
 * without ending a login.
 */
export class RefreshTokens {
  readonly #keys: ReadonlyMap<string, MacKey>;
  readonly #signing: { id: string; key: MacKey };

  /** @param secrets the first signs, all verify @throws RangeError when there is none */
  constructor(secrets: readonly { id: string; value: string }[]) {
    this.#keys = new Map(secrets.map(({ id, value }) => [id, new MacKey(value, 'refresh-token')]));
    const [first] = this.#keys;
    if (first === undefined) throw new RangeError('refresh tokens need at least one secret');
    this.#signing = { id: first[0], key: first[1] };
  }

  /** The token that a login begins with. `code` is random and known to nobody but its bearer. */
  first(loginId: string, code: string): RefreshToken {
    return { loginId, generation: 1, chain: sha256('refresh-first', loginId, code) };
  }

  successor({ loginId, generation, chain }: RefreshToken): RefreshToken {
    const next = generation + 1;
    return { loginId, generation: next, chain: sha256('refresh-chain', loginId, String(next), chain) };
  }

  /** What the store keeps of it. */
  hash({ loginId, generation, chain }: RefreshToken): string {
    return sha256('refresh-token', loginId, String(generation), chain);
  }

  write(token: RefreshToken): string {
    const id = Buffer.from(token.loginId).toString('base64url');
    const mac = macOf(this.#signing.key, token).toString('base64url');
    return `${REFRESH_TOKEN_PREFIX}${this.#signing.id}.${id}.${token.generation}.${token.chain}.${mac}`;
  }

  /** The token behind a text, if this deployment wrote it; whether it is still good is the store's to say. */
  read(text: string): RefreshToken | RefreshTokenFault {
    const match = text.length <= MAX_LENGTH ? TOKEN.exec(text) : null;
    if (match === null) return 'malformed';
    const [, kid = '', id = '', generation = '', chain = '', mac = ''] = match;
    const token = { loginId: Buffer.from(id, 'base64url').toString(), generation: Number(generation), chain };
    if (!isLoginId(token.loginId)) return 'malformed';
    const key = this.#keys.get(kid);
    if (key === undefined) return 'unknown_key';
    return timingSafeEqual(macOf(key, token), Buffer.from(mac, 'base64url')) ? token : 'forged';
  }
}

function macOf(key: MacKey, { loginId, generation, chain }: RefreshToken): Buffer {
  return key.mac(loginId, String(generation), chain);
}

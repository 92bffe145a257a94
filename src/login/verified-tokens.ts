import { sha256 } from '../crypto/hash.js';

/** What verification found out; it holds until `untilMs`. */
interface Verified {
  /** ms since 1970. */
  readonly untilMs: number;
}

/**
 * Verified tokens by their hash, so that clients that all come back at once cost no signature check each. What a
 * signature does not say, whether a login still lasts, is not remembered. Failures are not either, since their number
 * is the attacker's choice. When full, the one that was used the longest ago goes.
 */
export class VerifiedTokens<T extends Verified> {
  readonly #limit: number;
  /** In the order of last use. */
  readonly #byHash = new Map<string, T>();

  constructor(limit = 10_000) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#byHash.size;
  }

  /** @param verify is called for a token that is not remembered; what it throws is passed on */
  async get(token: string, nowMs: number, verify: () => Promise<T>): Promise<T> {
    const hash = sha256('verified-token', token);
    const known = this.#byHash.get(hash);
    this.#byHash.delete(hash);
    if (known !== undefined && nowMs < known.untilMs) {
      this.#byHash.set(hash, known);
      return known;
    }
    const verified = await verify();
    this.#byHash.set(hash, verified);
    if (this.#byHash.size > this.#limit) {
      const [oldest = hash] = this.#byHash.keys();
      this.#byHash.delete(oldest);
    }
    return verified;
  }
}

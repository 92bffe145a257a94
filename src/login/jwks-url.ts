/** Keys that the issuer of the application's JWTs publishes (RFC 7517 §5). */
import { createLocalJWKSet, createRemoteJWKSet, customFetch, errors, type JWTHeaderParameters } from 'jose';
import { secureUrl } from '../lib/secure-url.js';
import { HoldfastError } from '../protocol/errors.js';

type PublicKey = Awaited<ReturnType<ReturnType<typeof createRemoteJWKSet>>>;

const TIMEOUT_MS = 3_000;
const MAX_BYTES = 262_144;
/** An unknown key id makes the keys be fetched, this often at most. */
const COOLDOWN_MS = 30_000;
/** When a fetch has failed, the next one waits as long. */
const RETRY_MS = 2_000;
/** Keys are fetched again after this time, while those at hand go on serving … */
const REFRESH_MS = 600_000;
/** … until they are this old: what an issuer that cannot be reached may have withdrawn is trusted no longer. */
const MAX_AGE_MS = 3_600_000;
/** A token without a key id is tried against so many keys. */
const MAX_CANDIDATES = 8;

async function bodyOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw new RangeError(`more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

export class JwksUrl {
  readonly #remote: ReturnType<typeof createRemoteJWKSet>;
  #failed = false;
  #nextFetchMs = Number.POSITIVE_INFINITY;

  /** @throws TypeError for a URL that is not https, nor with `allowLoopbackHttp` http on this machine */
  constructor(url: string, allowLoopbackHttp: boolean) {
    this.#remote = createRemoteJWKSet(secureUrl(url, allowLoopbackHttp), {
      timeoutDuration: TIMEOUT_MS,
      cooldownDuration: COOLDOWN_MS,
      cacheMaxAge: MAX_AGE_MS,
      [customFetch]: (href, options) => this.#fetch(href, options),
    });
  }

  /**
   * The keys that fit a token's `alg` and `kid`.
   * @throws HoldfastError `store_unavailable` when that cannot be told, because the keys cannot be fetched
   */
  async candidates(header: JWTHeaderParameters): Promise<PublicKey[]> {
    // In the background: the keys at hand are good meanwhile.
    if (Date.now() >= this.#nextFetchMs) void this.#remote.reload().catch(() => {});
    try {
      return [await this.#remote(header)];
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) {
        if (error instanceof HoldfastError) throw error;
        return [];
      }
      const keys: PublicKey[] = [];
      for await (const key of error) {
        if (keys.push(key) === MAX_CANDIDATES) break;
      }
      return keys;
    }
  }

  async #fetch(href: string, options: RequestInit): Promise<Response> {
    const waitMs = this.#nextFetchMs - Date.now();
    if (this.#failed && waitMs > 0) throw unavailable(waitMs);
    try {
      const response = await fetch(href, options);
      if (response.status !== 200) {
        await response.body?.cancel();
        throw new TypeError(`status ${response.status}`);
      }
      const keys = JSON.parse(await bodyOf(response));
      createLocalJWKSet(keys);
      this.#failed = false;
      this.#nextFetchMs = Date.now() + REFRESH_MS;
      return Response.json(keys);
    } catch (cause) {
      this.#failed = true;
      this.#nextFetchMs = Date.now() + RETRY_MS;
      throw unavailable(RETRY_MS, cause);
    }
  }
}

function unavailable(retryAfterMs: number, cause?: unknown): HoldfastError {
  return new HoldfastError('store_unavailable', 'The keys of the application cannot be fetched', {
    retryAfterMs,
    cause,
  });
}

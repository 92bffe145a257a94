import type { JWK } from 'jose';
import type { Secret } from '../crypto/secrets.js';
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import { secureUrl } from '../lib/secure-url.js';
import { HoldfastError } from '../protocol/errors.js';
import type { NewUpstreamGrant, UpstreamToken } from './api.js';
import type { GrantLock, UpstreamGrants } from './ports.js';
import type { LoginTelemetry } from './telemetry.js';
import { UpstreamCommits } from './upstream-commits.js';
import { misconfigured, reauthRequired, upstreamBusy, upstreamUnavailable } from './upstream-errors.js';
import { importDpopKey, issuerOf, newDpopKey, type UpstreamProvider } from './upstream-request.js';
import { type FoundGrant, rotationMs, UpstreamRotation } from './upstream-rotation.js';
import { GrantVault } from './upstream-vault.js';

export interface UpstreamOptions {
  grants: UpstreamGrants;
  lock: GrantLock;
  providers: ReadonlyMap<string, UpstreamProvider>;
  /** The first seals, all open. */
  secrets: readonly Secret[];
  clock: Clock;
  log: Log;
  telemetry: LoginTelemetry;
  /** For development: providers on this machine, also over http. */
  allowLoopback: boolean;
}

const DEFAULT_PROVIDER = 'default';
/** RFC 6749 appendix A.17, bounded. */
const REFRESH_TOKEN = /^[\x20-\x7e]{1,8192}$/;
/** Calls that wait for one grant in this node; each holds an HTTP request. */
const MAX_WAITERS = 100;
/** An access token that ends sooner is not handed out again. */
const MIN_VALID_MS = 5_000;
const MAX_ROUNDS = 3;

interface Flight {
  result: Promise<UpstreamToken>;
  waiters: number;
}

/**
 * Access tokens out of upstream grants. Many providers revoke a grant when they see one of its refresh tokens twice.
 * So at most one request for a grant is under way, over all nodes: it is recorded before it is sent, by comparing, and
 * who finds such a record waits until that request has ended for certain before it sends once more. No guarantee rests
 * on the lock; it keeps the others waiting, and they share the answer.
 */
export class Upstream {
  readonly #grants: UpstreamGrants;
  readonly #lock: GrantLock;
  readonly #providers: ReadonlyMap<string, UpstreamProvider>;
  readonly #log: Log;
  readonly #vault: GrantVault;
  readonly #commits: UpstreamCommits<UpstreamToken>;
  readonly #rotation: UpstreamRotation;
  readonly #flights = new Map<string, Flight>();

  /** @throws TypeError on a provider whose settings cannot work */
  constructor(options: UpstreamOptions) {
    const { grants, lock, providers, log } = options;
    for (const [name, provider] of providers) checkProvider(name, provider, options.allowLoopback);
    this.#grants = grants;
    this.#lock = lock;
    this.#providers = providers;
    this.#log = log;
    this.#vault = new GrantVault(options.secrets);
    this.#commits = new UpstreamCommits(options);
    this.#rotation = new UpstreamRotation({ ...options, vault: this.#vault, commits: this.#commits });
  }

  /**
   * Stores a grant in place of any other.
   * @throws HoldfastError `invalid_field`; `not_found` when the login is not active; `store_unavailable`
   */
  async put(handle: string, grant: NewUpstreamGrant): Promise<void> {
    const name = grant.provider ?? this.#defaultProvider();
    const provider = this.#providers.get(name);
    if (provider === undefined) throw invalid('provider', 'there is no provider of this name');
    const refreshToken = grant.refresh_token;
    if (!REFRESH_TOKEN.test(refreshToken))
      throw invalid('refresh_token', 'must be 1 to 8192 printable ASCII characters');
    const secret = { issuer: issuerOf(provider), refreshToken, dpopKey: await dpopKeyOf(provider, grant.dpop_key) };
    const seal = (generation: number) => this.#vault.sealSecret(handle, generation, secret);
    const stored = await this.#grants.put(handle, { provider: name, seal });
    if (!stored) throw new HoldfastError('not_found', 'there is no active login with this id');
    this.#commits.forget(handle);
    this.#log.info({ login: handle, provider: name }, 'upstream grant stored');
  }

  /**
   * The access token of the last answer while that is fresh, or of a new one. A caller that goes away stops nothing.
   * @throws HoldfastError `not_found` without a grant; `upstream_reauth_required`, `upstream_unavailable`,
   * `upstream_busy`, `upstream_misconfigured`, `store_unavailable`
   */
  async token(handle: string): Promise<UpstreamToken> {
    const unstored = this.#commits.unstored(handle);
    if (unstored !== undefined) return unstored;
    const flight = this.#flights.get(handle);
    if (flight === undefined) return this.#fly(handle);
    if (flight.waiters >= MAX_WAITERS) throw upstreamBusy();
    flight.waiters += 1;
    return flight.result;
  }

  /** Resolves when every request that was sent is answered or given up, and its answer stored or lost. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#flights.values()].map(({ result }) => result));
    await this.#commits.settled();
  }

  #fly(handle: string): Promise<UpstreamToken> {
    const result = this.#find(handle).finally(() => this.#flights.delete(handle));
    this.#flights.set(handle, { result, waiters: 0 });
    return result;
  }

  async #find(handle: string): Promise<UpstreamToken> {
    const found = await this.#read(handle);
    const fresh = this.#fresh(found, found.grant.generation);
    if (fresh !== undefined) return fresh;
    const { generation } = found.grant;
    return this.#lock.withLock(handle, rotationMs(found.provider), () => this.#findLocked(handle, generation));
  }

  /** @param seenGeneration of before the wait for the lock: an answer that came since then was waited for */
  async #findLocked(handle: string, seenGeneration: number): Promise<UpstreamToken> {
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const found = await this.#rotation.settled(() => this.#read(handle));
      const waitMs = found.grant.notBeforeMs - found.nowMs;
      const token = this.#fresh(found, seenGeneration);
      if (token !== undefined) return token;
      if (waitMs > 0) throw upstreamUnavailable(waitMs);
      const answered = await this.#rotation.run(found);
      if (answered !== undefined) return answered;
    }
    throw upstreamBusy();
  }

  /** @throws HoldfastError when there is no grant that can be refreshed */
  async #read(handle: string): Promise<FoundGrant> {
    const { grant, nowMs } = await this.#grants.read(handle);
    if (grant === undefined) throw new HoldfastError('not_found', 'the login has no upstream grant');
    if (grant.state === 'reauth_required') throw reauthRequired();
    const provider = this.#providers.get(grant.provider);
    if (provider !== undefined) return { handle, grant, provider, nowMs };
    this.#log.error({ login: handle, provider: grant.provider }, 'upstream grant of a provider that is not set up');
    throw misconfigured();
  }

  #fresh({ handle, grant, provider, nowMs }: FoundGrant, seenGeneration: number): UpstreamToken | undefined {
    const isYoung = nowMs - grant.refreshedAtMs < provider.freshMs;
    if (!isYoung && grant.generation === seenGeneration) return undefined;
    const access = this.#vault.openAccess(handle, grant);
    if (access === undefined || (access.expires_at ?? Number.POSITIVE_INFINITY) < nowMs + MIN_VALID_MS)
      return undefined;
    return { ...access, expose: provider.exposeAccessToken };
  }

  #defaultProvider(): string {
    const [only = DEFAULT_PROVIDER, ...others] = this.#providers.keys();
    return others.length === 0 ? only : DEFAULT_PROVIDER;
  }
}

function checkProvider(name: string, provider: UpstreamProvider, allowLoopback: boolean): void {
  try {
    secureUrl(provider.tokenUrl, allowLoopback);
  } catch (error) {
    throw new TypeError(`token URL of provider ${name}: ${(error as Error).message}`, { cause: error });
  }
  if ((provider.clientAuth === 'none') !== !provider.clientSecret) {
    throw new TypeError(`provider ${name}: a client secret goes with client authentication, and only with that`);
  }
}

async function dpopKeyOf(provider: UpstreamProvider, given: JWK | undefined): Promise<JWK | undefined> {
  if (!provider.dpop) {
    if (given !== undefined) throw invalid('dpop_key', 'this provider is not set up for DPoP');
    return undefined;
  }
  if (given === undefined) return newDpopKey();
  try {
    await importDpopKey(given);
  } catch {
    throw invalid('dpop_key', 'must be the JWK of a private P-256 key');
  }
  const { kty, crv, x, y, d } = given;
  return { kty, crv, x, y, d } as JWK;
}

function invalid(field: string, message: string): HoldfastError {
  return new HoldfastError('invalid_field', `${field} ${message}`, { field });
}

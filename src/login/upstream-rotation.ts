import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import type { UpstreamToken } from './api.js';
import type { UpstreamFailure, UpstreamGrant, UpstreamGrants } from './ports.js';
import type { LoginTelemetry } from './telemetry.js';
import type { UpstreamCommits } from './upstream-commits.js';
import { misconfigured, reauthRequired, upstreamUnavailable } from './upstream-errors.js';
import { issuerOf, type RefreshOutcome, refresh, type UpstreamProvider } from './upstream-request.js';
import type { GrantSecret, GrantVault, UpstreamAccess } from './upstream-vault.js';

/** What a request may take beyond its time until it has ended for certain. */
const INTENT_MARGIN_MS = 500;
/** How long a node that has the answer of a request gets to store it, after an outage of the store. */
const SETTLE_MS = 2_000;
const POLL_MS = 200;

export interface RotationParts {
  grants: UpstreamGrants;
  vault: GrantVault;
  commits: UpstreamCommits<UpstreamToken>;
  clock: Clock;
  log: Log;
  telemetry: LoginTelemetry;
  allowLoopback: boolean;
}

/** A grant that may be refreshed, as the store had it at `nowMs`. */
export interface FoundGrant {
  handle: string;
  grant: UpstreamGrant;
  provider: UpstreamProvider;
  nowMs: number;
}

type Sent = Pick<UpstreamGrant, 'generation' | 'sendingSinceMs'>;
type Refreshed = Extract<RefreshOutcome, { kind: 'refreshed' }>;

/** How long one may have to wait for the request of another and then send its own, in ms. */
export function rotationMs({ timeoutMs }: UpstreamProvider): number {
  return 2 * timeoutMs + INTENT_MARGIN_MS + SETTLE_MS;
}

/** One refresh of a grant: recorded, sent, and its answer stored. */
export class UpstreamRotation {
  readonly #parts: RotationParts;

  constructor(parts: RotationParts) {
    this.#parts = parts;
  }

  /** Reads the grant until no request for it can be under way any more. */
  async settled(read: () => Promise<FoundGrant>): Promise<FoundGrant> {
    const elapsedMs = this.#stopwatch();
    const { clock } = this.#parts;
    let seen = { sendingSinceMs: 0, atMs: 0 };
    for (;;) {
      const found = await read();
      const { sendingSinceMs } = found.grant;
      const { timeoutMs } = found.provider;
      if (sendingSinceMs !== seen.sendingSinceMs) seen = { sendingSinceMs, atMs: clock.monotonicMs() };
      // The store's clock may have been set back since then, which must not make anybody wait for longer.
      const startedMs = Math.max(found.nowMs - sendingSinceMs, clock.monotonicMs() - seen.atMs);
      const endsInMs = timeoutMs + INTENT_MARGIN_MS - startedMs;
      const settlesInMs = Math.min(SETTLE_MS, timeoutMs) - elapsedMs();
      const waitMs = sendingSinceMs === 0 ? 0 : Math.max(endsInMs, settlesInMs);
      if (waitMs <= 0) return found;
      await sleep(Math.min(waitMs, POLL_MS));
    }
  }

  /**
   * @returns undefined when another changed the grant meanwhile
   * @throws HoldfastError what became of the request otherwise
   */
  async run({ handle, grant, provider, nowMs }: FoundGrant): Promise<UpstreamToken | undefined> {
    const about = { login: handle, provider: grant.provider, generation: grant.generation };
    const secret = this.#openSecret(handle, grant, provider, about);
    const elapsedMs = this.#stopwatch();
    const sendingSinceMs = await this.#parts.grants.begin(handle, grant);
    if (sendingSinceMs === 0) return undefined;
    const sent = { generation: grant.generation, sendingSinceMs };
    if (grant.sendingSinceMs !== 0) this.#parts.log.warn(about, 'upstream refresh repeated: the last one was lost');
    // Counted from before the record was written, so that others never take for lost what is still under way.
    const timeoutMs = provider.timeoutMs - elapsedMs();
    const outcome = await this.#send(provider, secret, timeoutMs);
    const durationMs = elapsedMs();
    this.#parts.telemetry.upstreamRefreshed(outcome.kind, durationMs);
    const fields = { ...about, outcome: outcome.kind, duration_ms: Math.round(durationMs) };
    if (outcome.kind !== 'refreshed') {
      const restMs = provider.timeoutMs + INTENT_MARGIN_MS - elapsedMs();
      return this.#failed(handle, sent, outcome, restMs, fields);
    }
    this.#parts.log.info(fields, 'upstream refresh');
    return this.#store(handle, sent.generation, provider, secret, outcome, nowMs);
  }

  async #send(provider: UpstreamProvider, secret: GrantSecret, timeoutMs: number): Promise<RefreshOutcome> {
    if (timeoutMs <= 0) return { kind: 'unused', reason: 'no time left', retryAfterMs: 0 };
    return refresh(provider, secret, { timeoutMs, allowLoopback: this.#parts.allowLoopback });
  }

  async #store(
    handle: string,
    generation: number,
    provider: UpstreamProvider,
    secret: GrantSecret,
    { answer, dpopKey }: Refreshed,
    askedAtMs: number,
  ): Promise<UpstreamToken | undefined> {
    const { vault, commits } = this.#parts;
    const access: UpstreamAccess = {
      access_token: answer.access_token,
      // As it stands in a header: callers put it there.
      token_type: answer.token_type === 'dpop' ? 'DPoP' : 'Bearer',
      ...(answer.expires_in !== undefined && { expires_at: askedAtMs + Math.floor(answer.expires_in * 1_000) }),
      ...(answer.scope !== undefined && { scope: answer.scope }),
    };
    const next = { ...secret, refreshToken: answer.refresh_token ?? secret.refreshToken, dpopKey };
    const token = { ...access, expose: provider.exposeAccessToken };
    const stored = await commits.commit({
      handle,
      generation,
      sealedSecret: vault.sealSecret(handle, generation + 1, next),
      sealedAccess: vault.sealAccess(handle, generation + 1, access),
      token,
    });
    return stored ? token : undefined;
  }

  /** @param restMs how long the request may seem to be under way to others */
  async #failed(
    handle: string,
    sent: Sent,
    outcome: Exclude<RefreshOutcome, Refreshed>,
    restMs: number,
    about: object,
  ): Promise<undefined> {
    const { log } = this.#parts;
    const fields = 'reason' in outcome ? { ...about, reason: outcome.reason } : about;
    switch (outcome.kind) {
      case 'spent':
        if (!(await this.#record(handle, sent, 'reauth_required'))) return undefined;
        log.warn(fields, 'upstream grant lost: the provider refused its refresh token');
        throw reauthRequired();
      case 'refused':
        await this.#record(handle, sent, { retryAfterMs: 0 });
        log.error(fields, 'upstream refresh refused: the settings of the provider do not work');
        throw misconfigured();
      case 'unused':
        await this.#record(handle, sent, { retryAfterMs: outcome.retryAfterMs });
        log.warn(fields, 'upstream refresh not done');
        throw upstreamUnavailable(outcome.retryAfterMs);
      case 'unknown':
        log.warn(fields, 'upstream refresh without a known end');
        throw upstreamUnavailable(Math.max(outcome.retryAfterMs, restMs));
    }
  }

  /** What is not recorded looks like a lost request, and is found out again by repeating it. */
  async #record(handle: string, sent: Sent, failure: UpstreamFailure): Promise<boolean> {
    return this.#parts.grants.fail(handle, sent, failure).catch(() => true);
  }

  #openSecret(handle: string, grant: UpstreamGrant, provider: UpstreamProvider, about: object): GrantSecret {
    const { vault, log } = this.#parts;
    const secret = vault.openSecret(handle, grant);
    if (secret?.issuer === issuerOf(provider)) return secret;
    const fault = secret === undefined ? 'its secret is not among those given' : 'the provider has another issuer now';
    log.error({ ...about, fault }, 'upstream grant cannot be used');
    throw misconfigured();
  }

  /** By the clock that ran further: one stands still while the machine sleeps, the other may be set. */
  #stopwatch(): () => number {
    const { clock } = this.#parts;
    const [wallMs, monotonicMs] = [clock.wallMs(), clock.monotonicMs()];
    return () => Math.max(clock.wallMs() - wallMs, clock.monotonicMs() - monotonicMs);
  }
}

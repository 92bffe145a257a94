import { jwtOptions } from './config/jwt-settings.js';
import { upstreamProviders } from './config/upstreams.js';
import type { Config } from './config.js';
import type { Secret } from './crypto/secrets.js';
import type { Clock } from './lib/clock.js';
import type { Log } from './lib/log.js';
import { parseSigningKeys, SigningKeys } from './login/access-token.js';
import { createJwtVerifier } from './login/jwt.js';
import { LiveLogins } from './login/live-logins.js';
import { Logins } from './login/logins.js';
import type { LoginTimings, OwnedSession } from './login/ports.js';
import type { LoginTelemetry } from './login/telemetry.js';
import { Upstream, type UpstreamOptions } from './login/upstream.js';
import type { LoginStores } from './store.js';

export interface LoginParts {
  logins: Logins;
  live: LiveLogins;
  /** The public keys of access tokens. */
  jwks(): object;
  /** Waits for requests to upstream providers whose answers would be lost, and stops the timers. */
  close(): Promise<void>;
}

/** A login code is exchanged by the page that the person is just being sent to. */
const CODE_TTL_MS = 60_000;
const TOUCH_EVERY_MS = 60_000;
/** Several touches fit into the idle time of a login. */
const TOUCHES_PER_IDLE = 4;
const RETENTION_MS = 86_400_000;
/** Whatever logins last: the application's JWTs may last longer. */
const MARK_TTL_MS = 400 * 86_400_000;

export function loginTimings(config: Config): LoginTimings {
  return {
    reuseIntervalMs: config.reuseIntervalMs,
    retentionMs: RETENTION_MS,
    maxAuditEvents: config.maxAuditEvents,
    maxLoginsPerPrincipal: config.maxLoginsPerPrincipal,
  };
}

/**
 * Logins and the application's JWTs, as far as `auth` has them on; undefined where connections are anonymous only.
 * @param secrets those of the deployment, also where the settings leave them to the process
 */
export function openLogins(
  config: Config,
  stores: LoginStores,
  parts: {
    secrets: readonly Secret[];
    clock: Clock;
    log: Log;
    telemetry: LoginTelemetry;
    release(sessions: readonly OwnedSession[]): Promise<void>;
  },
): LoginParts | undefined {
  const modes = config.auth ?? [];
  if (!modes.includes('login') && !modes.includes('jwt')) return undefined;
  const { secrets, clock, log, telemetry } = parts;
  const jwt = modes.includes('jwt') ? jwtOptions(config) : undefined;
  const { signingKeys } = config;
  const signing =
    signingKeys === undefined ? SigningKeys.ofSecrets(secrets) : SigningKeys.ofSeeds(parseSigningKeys(signingKeys));
  const upstream = openUpstream(config, stores, { secrets, clock, log, telemetry });

  const logins = new Logins({
    ...stores,
    secrets,
    signing,
    ...(jwt !== undefined && { jwt: createJwtVerifier(jwt) }),
    ...(upstream !== undefined && { upstream }),
    clock,
    log,
    telemetry,
    settings: {
      accessTokenTtlMs: config.accessTokenTtlMs,
      ticketTtlMs: config.ticketTtlMs,
      codeTtlMs: CODE_TTL_MS,
      repeatableMs: RETENTION_MS / 2,
      loginIdleMs: config.loginIdleMs,
      loginMaxMs: config.loginMaxMs,
      ...(config.publicUrl !== undefined && { publicUrl: config.publicUrl }),
      markTtlMs: MARK_TTL_MS,
      jwtOnly: !modes.includes('login'),
    },
    async released(handle) {
      // Not waited for: while the store is away it is tried for a minute, and the grace period ends by itself.
      void parts.release(await stores.store.owned(handle));
    },
  });
  const live = new LiveLogins({
    control: stores.control,
    touch: (handle, active) => logins.touch(handle, active),
    notBeforeMs: (principalHandle) => stores.marks.get(principalHandle),
    clock,
    log,
    telemetry,
    touchEveryMs: Math.min(TOUCH_EVERY_MS, config.loginIdleMs / TOUCHES_PER_IDLE),
  });
  return {
    logins,
    live,
    jwks: () => signing.jwks(),
    async close() {
      live.stop();
      await upstream?.close();
    },
  };
}

function openUpstream(
  config: Config,
  { grants, grantLock: lock }: LoginStores,
  parts: Pick<UpstreamOptions, 'secrets' | 'clock' | 'log' | 'telemetry'>,
): Upstream | undefined {
  const providers = upstreamProviders(config);
  if (providers.size === 0) return undefined;
  return new Upstream({ ...parts, grants, lock, providers, allowLoopback: config.allowLoopbackHttp });
}

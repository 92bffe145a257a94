import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import type { SigningKeys } from './access-token.js';
import type { NewUpstreamGrant, UpstreamToken } from './api.js';
import type { JwtVerifier } from './jwt.js';
import type { ControlLog, LoginStore, OneTimeStore, PrincipalMarks } from './ports.js';
import type { LoginTelemetry } from './telemetry.js';

export interface LoginSettings {
  accessTokenTtlMs: number;
  ticketTtlMs: number;
  codeTtlMs: number;
  /** How long a request may be repeated under its Idempotency-Key, at least; half of what records are kept at least. */
  repeatableMs: number;
  /** How long a login lasts without activity. */
  loginIdleMs: number;
  /** How long a login lasts at all. */
  loginMaxMs: number;
  /** The issuer of access tokens; `holdfast` without one. */
  publicUrl?: string;
  /** How long a principal's mark is remembered: longer than the application's JWTs last. */
  markTtlMs: number;
  /** Logins are off: what stands for one, made by other nodes or before, counts for nothing. */
  jwtOnly?: boolean;
}

/** Upstream grants, as far as logins pass calls on. */
export interface LoginUpstream {
  put(handle: string, grant: NewUpstreamGrant): Promise<void>;
  token(handle: string): Promise<UpstreamToken>;
}

export interface LoginsOptions {
  store: LoginStore;
  control: ControlLog;
  oneTime: OneTimeStore;
  marks: PrincipalMarks;
  /** The first signs, all verify. */
  secrets: readonly { id: string; value: string }[];
  signing: SigningKeys;
  /** Absent where the application's own JWTs are not accepted. */
  jwt?: JwtVerifier;
  upstream?: LoginUpstream;
  clock: Clock;
  log: Log;
  telemetry: LoginTelemetry;
  settings: LoginSettings;
  /** Releases the sessions of a login that was ended. May be called again. */
  released?(handle: string): Promise<void>;
}

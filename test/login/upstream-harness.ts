import { parseSecrets } from '../../src/crypto/secrets.js';
import { systemClock } from '../../src/lib/clock.js';
import type { Log } from '../../src/lib/log.js';
import type { GrantLock, UpstreamGrants } from '../../src/login/ports.js';
import type { LoginTelemetry } from '../../src/login/telemetry.js';
import { Upstream } from '../../src/login/upstream.js';
import type { UpstreamProvider } from '../../src/login/upstream-request.js';
import { MemoryLock, upstreamBusy } from '../../src/store/memory/lock.js';
import { MemoryLoginStore } from '../../src/store/memory/login-store.js';
import { MemoryUpstreamGrants } from '../../src/store/memory/upstream-grants.js';
import { quietLogins } from '../support/silent.js';

export const SECRET = `k1:${'s'.repeat(40)}`;
export const TIMINGS = {
  reuseIntervalMs: 30_000,
  retentionMs: 60_000,
  maxAuditEvents: 100_000,
  maxLoginsPerPrincipal: 1_000,
};

export function providerAt(tokenUrl: string, settings: Partial<UpstreamProvider> = {}): UpstreamProvider {
  return {
    tokenUrl,
    clientId: 'gateway',
    clientAuth: 'none',
    dpop: false,
    exposeAccessToken: false,
    timeoutMs: 600,
    freshMs: 30_000,
    ...settings,
  };
}

/** Keeps what is logged. */
export class KeptLog implements Log {
  readonly lines: { level: string; fields: object; message: string }[] = [];

  debug = (fields: object, message: string) => this.#keep('debug', fields, message);
  info = (fields: object, message: string) => this.#keep('info', fields, message);
  warn = (fields: object, message: string) => this.#keep('warn', fields, message);
  error = (fields: object, message: string) => this.#keep('error', fields, message);

  of(level: string): string[] {
    return this.lines.filter((line) => line.level === level).map(({ message }) => message);
  }

  #keep(level: string, fields: object, message: string): void {
    this.lines.push({ level, fields, message });
  }
}

export function upstreamOf(parts: {
  grants: UpstreamGrants;
  lock: GrantLock;
  providers: Record<string, UpstreamProvider>;
  secrets?: string;
  log?: Log;
  telemetry?: LoginTelemetry;
}): Upstream {
  return new Upstream({
    grants: parts.grants,
    lock: parts.lock,
    providers: new Map(Object.entries(parts.providers)),
    secrets: parseSecrets(parts.secrets ?? SECRET),
    clock: systemClock,
    log: parts.log ?? new KeptLog(),
    telemetry: parts.telemetry ?? quietLogins,
    allowLoopback: true,
  });
}

/** Everything in this process. */
export function memoryParts() {
  const logins = new MemoryLoginStore({ clock: systemClock, timings: TIMINGS });
  const grants = new MemoryUpstreamGrants({ clock: systemClock, logins });
  return { logins, grants, lock: new MemoryLock(upstreamBusy) };
}

import type { Log } from '../../src/lib/log.js';
import type { LoginTelemetry } from '../../src/login/telemetry.js';
import type { SessionTelemetry } from '../../src/session/telemetry.js';
import type { StoreTelemetry } from '../../src/store/redis/telemetry.js';

export const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export const quietStore: StoreTelemetry = {
  command: () => {},
  connection: () => {},
  gap: () => {},
  probe: () => {},
};

export const quietLogins: LoginTelemetry = {
  loginCreated: () => {},
  loginEnded: () => {},
  loginRefreshed: () => {},
  ticket: () => {},
  upstreamRefreshed: () => {},
  liveLogins: () => {},
};

export const quietSessions: SessionTelemetry = {
  claimed: () => {},
  reclaimed: () => {},
  fenced: () => {},
  counts: () => {},
  swept: () => {},
  repaired: () => {},
  published: () => {},
  messageRefused: () => {},
  signalled: () => {},
  delivered: () => {},
  recovered: () => {},
  filled: () => {},
  reset: () => {},
  lagged: () => {},
};

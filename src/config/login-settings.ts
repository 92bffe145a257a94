import { parseSigningKeys } from '../login/access-token.js';
import { integer, parsed, settingInfo, yesOrNo } from './kinds.js';
import { DAY_MS } from './units.js';

/** What browsers keep a cookie for at most. */
const MAX_LOGIN_MS = 400 * DAY_MS;

/** Logins, and the tokens and tickets that stand for them. */
export const loginSettings = {
  signingKeys: parsed('a list kid:seed,kid:seed of 32-byte Ed25519 seeds in base64url', parseSigningKeys)
    .optional()
    .register(settingInfo, { help: 'keys (Ed25519) that sign access tokens; without them secret does', secret: true }),
  accessTokenTtlMs: integer(1_000, DAY_MS)
    .default(300_000)
    .register(settingInfo, { help: 'how long an access token is good', unit: 'ms' }),
  renewalMarginMs: integer(0, 600_000)
    .default(25_000)
    .register(settingInfo, { help: 'how long a connection whose login was not renewed in time stays', unit: 'ms' }),
  reuseIntervalMs: integer(100, 3_600_000).default(30_000).register(settingInfo, {
    help: 'how long a refresh token may be used again once its successor was; a younger one is not replaced',
    unit: 'ms',
  }),
  ticketTtlMs: integer(1_000, 600_000)
    .default(30_000)
    .register(settingInfo, { help: 'how long a ticket for a connection is good', unit: 'ms' }),
  ticketInUrl: yesOrNo()
    .default(false)
    .register(settingInfo, { help: 'whether ?ticket= is taken, which ends up in the logs of proxies' }),
  loginIdleMs: integer(1_000, MAX_LOGIN_MS)
    .default(14 * DAY_MS)
    .register(settingInfo, { help: 'how long a login lasts without any activity', unit: 'ms' }),
  loginMaxMs: integer(1_000, MAX_LOGIN_MS)
    .default(90 * DAY_MS)
    .register(settingInfo, { help: 'how long a login lasts at all', unit: 'ms' }),
  maxLoginsPerPrincipal: integer(1, 100_000)
    .default(1_000)
    .register(settingInfo, { help: 'active logins of one principal' }),
  maxAuditEvents: integer(1_000, 100_000_000)
    .default(100_000)
    .register(settingInfo, { help: 'events kept in the audit stream, over all logins' }),
};

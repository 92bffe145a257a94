/** Who a connection is, from its upgrade request. */
import { randomUUID } from 'node:crypto';
import type { Principal } from '../login/api.js';
import type { LiveLogins, LoginStanding } from '../login/live-logins.js';
import { HoldfastError } from '../protocol/errors.js';
import { ANONYMOUS_PREFIX } from '../session/record.js';
import type { RightsRule, SessionRights } from '../session/rights.js';
import { LiveCredential } from './live-credential.js';
import type { Presented } from './presented.js';

export interface Identity {
  principal: string;
  anonymous: boolean;
  rights: SessionRights;
  /** Undefined for one that never ends. */
  credential: LiveCredential | undefined;
}

/** What connections need of logins. All throw HoldfastError for what the caller is meant to see. */
export interface ConnectionLogins {
  /** Spends the ticket. @throws `invalid_credential` */
  takeTicket(ticket: string, origin: string | undefined): Promise<Principal>;
  /**
   * What signature and time say of an access token or the application's own JWT.
   * @throws `invalid_credential`, caused by a CredentialError where that says more
   */
  verifyBearer(token: string): Promise<Principal>;
  /** @returns the login with its `rights` as in the claim, unchecked */
  login(handle: string): Promise<LoginStanding<{ rights: unknown }>>;
  /** As `login`, and counts as activity. @returns a fresh access token with its end besides */
  renew(handle: string): Promise<LoginStanding<{ rights: unknown; accessToken: string; expiresAtMs: number }>>;
  /** From when on JWTs of the principal count, ms since 1970; 0 for always. */
  notBeforeMs(principal: string): Promise<number>;
}

export interface CredentialOptions {
  logins: ConnectionLogins;
  live: LiveLogins;
  /** How long a connection of a login lasts without being renewed. */
  accessTokenTtlMs: number;
  /** Takes a ticket from `?ticket=` too, for clients that cannot put it elsewhere. */
  ticketInUrl: boolean;
}

export interface AuthenticationOptions {
  /** Absent where no mode takes credentials: then nobody looks at them, since they may be meant for a proxy. */
  credentials?: CredentialOptions;
  /** Gives connections without a credential a random principal. */
  anonymous: boolean;
  /** The rights of a principal; `claims` are the rules in its token or login. */
  rightsFor(principal: string, claims: readonly RightsRule[]): SessionRights;
}

/**
 * A presented credential that is wrong is refused, and never taken for none. Whose login turns out to be over gets an
 * identity whose registration has ended.
 * @throws HoldfastError `invalid_credential` for none where there must be one, and as ConnectionLogins
 */
export async function authenticate(
  presented: Presented | undefined,
  origin: string | undefined,
  options: AuthenticationOptions,
  nowMs: number,
): Promise<Identity> {
  const { credentials, anonymous, rightsFor } = options;
  if (credentials !== undefined && presented !== undefined) {
    const principal = await principalOf(presented, origin, credentials.logins);
    const credential = new LiveCredential(principal, credentials, rightsFor);
    const rights = await credential.enter(nowMs);
    return { principal: principal.principal, anonymous: false, rights, credential };
  }
  if (!anonymous) throw invalid('no credential');
  const principal = `${ANONYMOUS_PREFIX}${randomUUID()}`;
  return { principal, anonymous: true, rights: rightsFor(principal, []), credential: undefined };
}

async function principalOf({ kind, value }: Presented, origin: string | undefined, logins: ConnectionLogins) {
  if (value === '') throw invalid('neither a ticket nor a bearer token');
  const principal = await (kind === 'ticket' ? logins.takeTicket(value, origin) : logins.verifyBearer(value));
  if (!principal.principal.startsWith(ANONYMOUS_PREFIX)) return principal;
  throw invalid(`a principal must not start with ${ANONYMOUS_PREFIX}`);
}

function invalid(why: string): HoldfastError {
  return new HoldfastError('invalid_credential', why);
}

/** Who a connection is, from its upgrade request. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { CredentialError, type JwtVerifier } from '../login/jwt.js';
import { ANONYMOUS_PREFIX } from '../session/record.js';
import type { RightsRule, SessionRights } from '../session/rights.js';
import { rightsClaim } from './rights-claim.js';

export interface Identity {
  principal: string;
  anonymous: boolean;
  rights: SessionRights;
  /** When the credential ends, ms since 1970; 0 when it does not. */
  expiresAtMs: number;
}

export interface AuthenticationOptions {
  /** Accepts `Authorization: Bearer <jwt>`. */
  jwt?: JwtVerifier;
  /** Gives connections without a credential a random principal. */
  anonymous: boolean;
  /** The rights of a principal; `claims` are the rules in its token. */
  rightsFor(principal: string, claims: readonly RightsRule[]): SessionRights;
}

const BEARER = /^Bearer +([^ ]+) *$/i;

/** The bearer token, or undefined where the header is none. */
export function bearerToken(request: IncomingMessage): string | undefined {
  return BEARER.exec(request.headers.authorization ?? '')?.[1];
}

/**
 * A presented credential that is wrong is refused, and never taken for none. Without the `jwt` mode the header is
 * not looked at, since it may be meant for a proxy.
 * @throws CredentialError
 */
export async function authenticate(request: IncomingMessage, options: AuthenticationOptions): Promise<Identity> {
  const { jwt, rightsFor } = options;
  if (jwt !== undefined && request.headers.authorization !== undefined) {
    const token = bearerToken(request);
    if (token === undefined) throw new CredentialError('not a bearer token');
    const { subject, expiresAtMs, rights } = await jwt.verify(token);
    if (subject.startsWith(ANONYMOUS_PREFIX)) throw new CredentialError(`sub must not start with ${ANONYMOUS_PREFIX}`);
    return { principal: subject, anonymous: false, rights: rightsFor(subject, claimsOf(rights)), expiresAtMs };
  }
  if (!options.anonymous) throw new CredentialError('no credential');
  const principal = `${ANONYMOUS_PREFIX}${randomUUID()}`;
  return { principal, anonymous: true, rights: rightsFor(principal, []), expiresAtMs: 0 };
}

function claimsOf(claim: unknown): RightsRule[] {
  try {
    return rightsClaim(claim);
  } catch (error) {
    if (error instanceof RangeError) throw new CredentialError(error.message);
    throw error;
  }
}

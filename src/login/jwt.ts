/** The application's own JWTs as credentials (RFC 7519, with what RFC 8725 advises). */
import { decodeProtectedHeader, errors, type JWTHeaderParameters, type JWTVerifyOptions, jwtVerify } from 'jose';
import { isPrincipal, PRINCIPAL_RULE } from './handles.js';
import { JwksUrl } from './jwks-url.js';
import {
  ASYMMETRIC_ALGORITHMS,
  type JwtAlgorithm,
  type JwtKey,
  publicKeys,
  restricted,
  secretKeys,
} from './jwt-keys.js';

const MAX_TOKEN_LENGTH = 8_192;

/** Keys that a token brings or points to are its bearer's choice, and no extension (`crit`) is understood. */
const REFUSED_PARAMETERS = ['jku', 'jwk', 'x5u', 'x5c', 'crit'];

/** One kind of keys only, so that what is public to one can never be the secret of another. */
export type JwtKeySource =
  /** Any of them verifies, so that a secret can be replaced without logging anybody out. */
  | { secrets: readonly Uint8Array[] }
  /** PEM, one block after the other. */
  | { publicKeys: string }
  /** `allowLoopbackHttp`: the URL may be `http:` on this machine. */
  | { jwksUrl: string; allowLoopbackHttp: boolean };

export interface JwtRules {
  /** What tokens may be signed with; all that the keys can do if absent. */
  algorithms?: readonly JwtAlgorithm[];
  /** What the header's `typ` must be; `JWT` or nothing if absent, which keeps out tokens that are made for something else. */
  type?: string;
  issuer?: string;
  audience?: string;
  /** How far the issuer's clock may be off. */
  clockToleranceMs: number;
}

export type JwtOptions = JwtKeySource & JwtRules;

export interface VerifiedJwt {
  subject: string;
  /** From when on it is refused: `exp` and the clock tolerance. ms since 1970. */
  expiresAtMs: number;
  /** The claim `iat`, ms since 1970; 0 when it has none. */
  issuedAtMs: number;
  /** The claim `rights`, unchecked. */
  rights: unknown;
}

/** The credential is refused. `reason` is for logs and holds nothing of the token. */
export class CredentialError extends Error {
  readonly expired: boolean;

  constructor(reason: string, expired = false) {
    super(reason);
    this.name = 'CredentialError';
    this.expired = expired;
  }
}

export interface JwtVerifier {
  /**
   * @param nowMs ms since 1970; by the system's clock unless given
   * @throws CredentialError; HoldfastError `store_unavailable` when the keys cannot be had now, which refuses nobody
   */
  verify(token: string, nowMs?: number): Promise<VerifiedJwt>;
}

type Candidates = (header: JWTHeaderParameters) => Promise<readonly Parameters<typeof jwtVerify>[1][]>;

/**
 * The keys that may have signed a token, by its header: none for an algorithm that is not allowed.
 * @throws RangeError, TypeError for keys or algorithms that cannot be used
 */
function candidatesOf(options: JwtOptions): Candidates {
  const { algorithms } = options;
  if (!('jwksUrl' in options)) {
    const all = 'secrets' in options ? secretKeys(options.secrets) : publicKeys(options.publicKeys);
    const keys: JwtKey[] = restricted(all, algorithms);
    return async ({ alg }) => keys.filter((one) => one.algorithms.some((name) => name === alg)).map(({ key }) => key);
  }
  const jwks = new JwksUrl(options.jwksUrl, options.allowLoopbackHttp);
  const unfit = algorithms?.find((name) => !ASYMMETRIC_ALGORITHMS.some((known) => known === name));
  if (unfit !== undefined) throw new RangeError(`no published key can do ${unfit}`);
  const allowed: readonly string[] = algorithms ?? ASYMMETRIC_ALGORITHMS;
  return async (header) => (allowed.includes(header.alg) ? jwks.candidates(header) : []);
}

function isJwtType(typ: unknown): boolean {
  return typeof typ === 'string' && /^(application\/)?jwt$/i.test(typ);
}

/** @throws CredentialError */
function headerOf(token: string, type: string | undefined): JWTHeaderParameters {
  if (token.length > MAX_TOKEN_LENGTH) throw new CredentialError('too long');
  let header: JWTHeaderParameters;
  try {
    header = decodeProtectedHeader(token) as JWTHeaderParameters;
  } catch {
    throw new CredentialError('not a JWT');
  }
  const refused = REFUSED_PARAMETERS.find((name) => Object.hasOwn(header, name));
  if (refused !== undefined) throw new CredentialError(`the header has ${refused}`);
  // With a type, jose compares it.
  if (type === undefined && !(header.typ === undefined || isJwtType(header.typ))) {
    throw new CredentialError('typ is not JWT');
  }
  return header;
}

/** @throws RangeError, TypeError for keys or algorithms that cannot be used */
export function createJwtVerifier(options: JwtOptions): JwtVerifier {
  const candidates = candidatesOf(options);
  const rules: JWTVerifyOptions = {
    requiredClaims: ['sub', 'exp'],
    clockTolerance: options.clockToleranceMs / 1000,
    ...(options.type === undefined ? {} : { typ: options.type }),
    ...(options.issuer === undefined ? {} : { issuer: options.issuer }),
    ...(options.audience === undefined ? {} : { audience: options.audience }),
  };

  async function payloadOf(token: string, nowMs: number) {
    const header = headerOf(token, options.type);
    for (const key of await candidates(header)) {
      const payload = await verifyWith(key, token, {
        ...rules,
        algorithms: [header.alg],
        currentDate: new Date(nowMs),
      });
      if (payload !== undefined) return payload;
    }
    throw new CredentialError('no key verifies it');
  }

  return {
    async verify(token, nowMs = Date.now()) {
      const { sub, exp, iat = 0, rights } = await payloadOf(token, nowMs);
      if (typeof sub !== 'string' || !isPrincipal(sub)) throw new CredentialError(`sub must be ${PRINCIPAL_RULE}`);
      const expiresAtMs = milliseconds('exp', exp) + options.clockToleranceMs;
      return { subject: sub, expiresAtMs, issuedAtMs: milliseconds('iat', iat), rights };
    },
  };
}

/** @returns undefined when another key may have signed it */
async function verifyWith(key: Parameters<typeof jwtVerify>[1], token: string, rules: JWTVerifyOptions) {
  try {
    return (await jwtVerify(token, key, rules)).payload;
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed) return undefined;
    if (error instanceof errors.JWTExpired) throw new CredentialError('expired', true);
    if (error instanceof errors.JWTClaimValidationFailed) throw new CredentialError(`${error.claim}: ${error.reason}`);
    if (error instanceof errors.JOSEError) throw new CredentialError(error.code);
    throw new CredentialError('not a JWT');
  }
}

function milliseconds(claim: string, seconds = Number.NaN): number {
  const ms = Math.floor(seconds * 1_000);
  if (!Number.isSafeInteger(ms) || ms < 0) throw new CredentialError(`${claim} is out of range`);
  return ms;
}

/** The application's own JWTs (HS256) as credentials. */
import { createSecretKey, type KeyObject } from 'node:crypto';
import { errors, jwtVerify } from 'jose';

/** RFC 7518 §3.2: a key for HS256 has at least as many bits as its hash. */
export const MIN_JWT_SECRET_BYTES = 32;

/** Whole characters only: half of a surrogate pair cannot be written as UTF-8. */
const PRINCIPAL = /^\P{Cs}{1,256}$/su;

export interface JwtOptions {
  /** Any of them verifies, so that a secret can be replaced without logging anybody out. */
  secrets: readonly Uint8Array[];
  issuer?: string;
  audience?: string;
  /** How far the issuer's clock may be off. */
  clockToleranceMs: number;
}

export interface VerifiedJwt {
  subject: string;
  /** From when on it is refused: `exp` and the clock tolerance. ms since 1970. */
  expiresAtMs: number;
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
  /** @throws CredentialError */
  verify(token: string): Promise<VerifiedJwt>;
}

/** @throws RangeError when there is no secret or one is too short */
export function createJwtVerifier(options: JwtOptions): JwtVerifier {
  if (options.secrets.length === 0) throw new RangeError('a JWT secret is required');
  if (options.secrets.some((secret) => secret.byteLength < MIN_JWT_SECRET_BYTES)) {
    throw new RangeError(`a JWT secret must have at least ${MIN_JWT_SECRET_BYTES} bytes`);
  }
  const keys = options.secrets.map((secret) => createSecretKey(secret));
  const rules = {
    algorithms: ['HS256'],
    requiredClaims: ['sub', 'exp'],
    clockTolerance: options.clockToleranceMs / 1000,
    ...(options.issuer === undefined ? {} : { issuer: options.issuer }),
    ...(options.audience === undefined ? {} : { audience: options.audience }),
  };

  async function payloadOf(token: string) {
    for (const key of keys) {
      const payload = await verifyWith(key, token);
      if (payload !== undefined) return payload;
    }
    throw new CredentialError('signature verification failed');
  }

  /** @returns undefined when another key may have signed it */
  async function verifyWith(key: KeyObject, token: string) {
    try {
      return (await jwtVerify(token, key, rules)).payload;
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed) return undefined;
      if (error instanceof errors.JWTExpired) throw new CredentialError('expired', true);
      if (error instanceof errors.JOSEError) throw new CredentialError(error.code);
      throw new CredentialError('not a JWT');
    }
  }

  return {
    async verify(token) {
      const { sub, exp, rights } = await payloadOf(token);
      if (typeof sub !== 'string' || !PRINCIPAL.test(sub) || sub.trim() !== sub) {
        throw new CredentialError('sub must be 1 to 256 characters without space around them');
      }
      const expiresAtMs = (exp ?? Number.NaN) * 1000 + options.clockToleranceMs;
      if (!Number.isSafeInteger(Math.floor(expiresAtMs))) throw new CredentialError('exp is out of range');
      return { subject: sub, expiresAtMs: Math.floor(expiresAtMs), rights };
    },
  };
}

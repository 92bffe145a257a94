import { createPrivateKey, createPublicKey, createSecretKey, hkdfSync, type KeyObject, randomUUID } from 'node:crypto';
import { decodeProtectedHeader, errors, type JWK, jwtVerify, SignJWT } from 'jose';
import { CredentialError } from './jwt.js';

/** RFC 9068 §2.1. */
const TYPE = 'at+jwt';
const AUDIENCE = 'holdfast';
const SEED_BYTES = 32;
/** RFC 8410 §7: what comes before the seed in an Ed25519 private key as PKCS #8. */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');

export interface SigningSeed {
  id: string;
  seed: Uint8Array;
}

/**
 * Reads `kid:<seed>,kid:<seed>`, each seed an Ed25519 private key (RFC 8032 §5.1.5) of 32 bytes as unpadded base64url.
 * The first signs, all verify.
 * @throws TypeError with a message that names the fault and not the seed
 */
export function parseSigningKeys(text: string): SigningSeed[] {
  const seeds = text.split(',').map((entry, index) => {
    const match = /^([\w-]{1,32}):([\w-]+)$/.exec(entry.trim());
    if (match === null) throw new TypeError(`entry ${index + 1} is not of the form kid:seed, the seed in base64url`);
    const [, id = '', value = ''] = match;
    const seed = Buffer.from(value, 'base64url');
    if (seed.byteLength !== SEED_BYTES || seed.toString('base64url') !== value) {
      throw new TypeError(`the seed of entry ${index + 1} is not ${SEED_BYTES} bytes`);
    }
    return { id, seed };
  });
  if (new Set(seeds.map(({ id }) => id)).size !== seeds.length) throw new TypeError('a key id occurs twice');
  return seeds;
}

interface SigningKey {
  signing: KeyObject;
  verifying: KeyObject;
  /** For the JWKS; a shared secret has none. */
  published?: JWK;
}

/** The keys of access tokens. All are of one algorithm, so what a token's header says of it decides nothing. */
export class SigningKeys {
  readonly algorithm: 'EdDSA' | 'HS256';
  readonly #keys: ReadonlyMap<string, SigningKey>;

  private constructor(algorithm: 'EdDSA' | 'HS256', keys: readonly (readonly [string, SigningKey])[]) {
    if (keys.length === 0) throw new RangeError('access tokens need at least one key');
    this.algorithm = algorithm;
    this.#keys = new Map(keys);
  }

  /** Ed25519: the application can verify access tokens with the JWKS. The first signs, all verify. */
  static ofSeeds(seeds: readonly SigningSeed[]): SigningKeys {
    const keys = seeds.map(({ id, seed }) => {
      const der = Buffer.concat([PKCS8_ED25519, seed]);
      const signing = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
      const verifying = createPublicKey(signing);
      const published = { ...verifying.export({ format: 'jwk' }), kid: id, alg: 'EdDSA', use: 'sig' };
      return [id, { signing, verifying, published }] as const;
    });
    return new SigningKeys('EdDSA', keys);
  }

  /** HS256, for gateways that were given no other keys: only they can verify. The first signs, all verify. */
  static ofSecrets(secrets: readonly { id: string; value: string }[]): SigningKeys {
    const keys = secrets.map(({ id, value }) => {
      const bytes = hkdfSync('sha256', value, 'holdfast', 'holdfast:v1:access-token', 32);
      const key = createSecretKey(Buffer.from(bytes));
      return [id, { signing: key, verifying: key }] as const;
    });
    return new SigningKeys('HS256', keys);
  }

  /** The key that signs. */
  get first(): { id: string; key: KeyObject } {
    const [[id, { signing }] = never()] = this.#keys;
    return { id, key: signing };
  }

  verifying(id: string | undefined): KeyObject | undefined {
    return id === undefined ? undefined : this.#keys.get(id)?.verifying;
  }

  /** RFC 7517 §5. */
  jwks(): { keys: JWK[] } {
    return { keys: [...this.#keys.values()].flatMap(({ published }) => published ?? []) };
  }
}

function never(): never {
  throw new RangeError('no key');
}

export interface AccessClaims {
  principal: string;
  loginId: string;
  /** The login's when the token was issued. */
  rights: unknown;
}

export interface VerifiedAccessToken extends AccessClaims {
  /** ms since 1970, whole seconds. */
  expiresAtMs: number;
}

/** Access tokens of logins: JWTs after RFC 9068, with the claims `login_id` and `rights`. */
export class AccessTokens {
  readonly #keys: SigningKeys;
  readonly #issuer: string;

  constructor(keys: SigningKeys, issuer: string) {
    this.#keys = keys;
    this.#issuer = issuer;
  }

  /** @returns the token with its end, both cut to whole seconds */
  async issue(claims: AccessClaims, nowMs: number, ttlMs: number): Promise<{ token: string; expiresAtMs: number }> {
    const { id, key } = this.#keys.first;
    const expiresAtS = Math.floor((nowMs + ttlMs) / 1000);
    const token = await new SignJWT({ login_id: claims.loginId, rights: claims.rights })
      .setProtectedHeader({ typ: TYPE, alg: this.#keys.algorithm, kid: id })
      .setIssuer(this.#issuer)
      .setAudience(AUDIENCE)
      .setSubject(claims.principal)
      .setIssuedAt(Math.floor(nowMs / 1000))
      .setExpirationTime(expiresAtS)
      .setJti(randomUUID())
      .sign(key);
    return { token, expiresAtMs: expiresAtS * 1000 };
  }

  /** True where type and key id are those of access tokens from here: then it is one, or is refused. */
  recognises(token: string): boolean {
    try {
      const { typ, kid } = decodeProtectedHeader(token);
      return typ === TYPE && this.#keys.verifying(kid) !== undefined;
    } catch {
      return false;
    }
  }

  /** @throws CredentialError */
  async verify(token: string, nowMs: number): Promise<VerifiedAccessToken> {
    const { payload } = await jwtVerify(token, ({ kid }) => this.#keys.verifying(kid) ?? unknownKey(), {
      typ: TYPE,
      algorithms: [this.#keys.algorithm],
      issuer: this.#issuer,
      audience: AUDIENCE,
      currentDate: new Date(nowMs),
      requiredClaims: ['sub', 'login_id', 'exp', 'iat', 'jti'],
    }).catch(refuse);
    const { sub, exp, login_id: loginId, rights } = payload;
    if (sub === undefined || exp === undefined || typeof loginId !== 'string') {
      throw new CredentialError('not the claims of an access token');
    }
    return { principal: sub, loginId, rights, expiresAtMs: exp * 1000 };
  }
}

function unknownKey(): never {
  throw new CredentialError('unknown key id');
}

function refuse(error: unknown): never {
  if (error instanceof CredentialError) throw error;
  if (error instanceof errors.JWTExpired) throw new CredentialError('expired', true);
  if (error instanceof errors.JOSEError) throw new CredentialError(error.code);
  throw new CredentialError('not a JWT');
}

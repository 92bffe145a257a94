/** The keys that may have signed the application's JWTs, and with which algorithms (RFC 7518 §3.1, RFC 8037 §3.1). */
import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';

const HMAC = ['HS256', 'HS384', 'HS512'] as const;
const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const;
const ECDSA = ['ES256', 'ES384', 'ES512'] as const;
/** Two names of the same algorithm: RFC 8037 and RFC 9864. */
const ED25519 = ['EdDSA', 'Ed25519'] as const;

export const ASYMMETRIC_ALGORITHMS = [...RSA, ...ECDSA, ...ED25519] as const;
export const JWT_ALGORITHMS = [...HMAC, ...ASYMMETRIC_ALGORITHMS] as const;

export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];

/** A key and all that it may verify: a secret HMACs alone, a public key none, so that neither passes for the other. */
export interface JwtKey {
  key: KeyObject;
  algorithms: readonly JwtAlgorithm[];
}

/** RFC 7518 §3.2: a key has at least as many bits as the hash. */
const HMAC_BYTES: Record<(typeof HMAC)[number], number> = { HS256: 32, HS384: 48, HS512: 64 };

/** @throws RangeError when there is none, one is too short or a PEM */
export function secretKeys(secrets: readonly Uint8Array[]): JwtKey[] {
  if (secrets.length === 0) throw new RangeError('a JWT secret is required');
  return secrets.map((secret) => {
    if (secret.byteLength < HMAC_BYTES.HS256) {
      throw new RangeError(`a JWT secret must have at least ${HMAC_BYTES.HS256} bytes`);
    }
    if (Buffer.from(secret).includes('-----BEGIN ')) {
      throw new RangeError('a PEM is no JWT secret: everybody may know a public key');
    }
    const algorithms = HMAC.filter((name) => secret.byteLength >= HMAC_BYTES[name]);
    return { key: createSecretKey(secret), algorithms };
  });
}

const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[A-Za-z0-9+/=\s]+-----END \1-----\s*/g;
const PUBLIC_LABELS = new Set(['PUBLIC KEY', 'RSA PUBLIC KEY']);
const MAX_PEM_KEYS = 16;
/** RFC 7518 §3.3. */
const MIN_RSA_BITS = 2_048;
const EC_ALGORITHMS: Record<string, JwtAlgorithm> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };

function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails = {} }: KeyObject): readonly JwtAlgorithm[] {
  const { modulusLength = 0, namedCurve = '' } = asymmetricKeyDetails;
  if (asymmetricKeyType === 'rsa' && modulusLength >= MIN_RSA_BITS) return RSA;
  if (asymmetricKeyType === 'rsa') throw new TypeError(`an RSA key has less than ${MIN_RSA_BITS} bits`);
  if (asymmetricKeyType === 'ed25519') return ED25519;
  const algorithm = asymmetricKeyType === 'ec' ? EC_ALGORITHMS[namedCurve] : undefined;
  if (algorithm === undefined) throw new TypeError('a key is none of RSA, EC P-256, P-384 or P-521, Ed25519');
  return [algorithm];
}

/**
 * Public keys, one PEM block after the other; `\n` may stand for line ends, as in variables of the environment.
 * @throws TypeError with a message that names the fault and nothing of the text
 */
export function publicKeys(pem: string): JwtKey[] {
  const text = pem.replaceAll('\\n', '\n').trim();
  const blocks = [...text.matchAll(PEM_BLOCK)];
  if (blocks.length === 0 || text.replace(PEM_BLOCK, '') !== '') throw new TypeError('it is not a PEM');
  if (blocks.length > MAX_PEM_KEYS) throw new TypeError(`there are more than ${MAX_PEM_KEYS} keys`);
  return blocks.map(([block, label = '']) => {
    if (!PUBLIC_LABELS.has(label)) throw new TypeError(`${label} is not PUBLIC KEY`);
    let key: KeyObject;
    try {
      key = createPublicKey(block);
    } catch {
      throw new TypeError('a key cannot be read');
    }
    return { key, algorithms: algorithmsOf(key) };
  });
}

/**
 * The keys as far as `allowed` goes.
 * @throws RangeError when no key can do one of the allowed algorithms
 */
export function restricted(keys: readonly JwtKey[], allowed: readonly JwtAlgorithm[] | undefined): JwtKey[] {
  if (allowed === undefined) return [...keys];
  const unfit = allowed.find((name) => !keys.some(({ algorithms }) => algorithms.includes(name)));
  if (unfit !== undefined) throw new RangeError(`no key of the JWTs can do ${unfit}`);
  return keys.map(({ key, algorithms }) => ({ key, algorithms: algorithms.filter((name) => allowed.includes(name)) }));
}

import { createHmac, hkdfSync } from 'node:crypto';

export const MIN_SECRET_BYTES = 32;

/** One of the gateway's secrets; `id` is its key id, `default` where only one is given. */
export interface Secret {
  id: string;
  value: string;
}

/**
 * Reads `HOLDFAST_SECRET`: one secret, or `kid:secret,kid:secret`, of which the first signs and all verify.
 * @throws TypeError with a message that names the fault and not the secret
 */
export function parseSecrets(text: string): Secret[] {
  const entries = text.includes(',') || /^[\w-]{1,32}:/.test(text) ? text.split(',') : [`default:${text}`];
  const secrets = entries.map((entry, index) => {
    const match = /^([\w-]{1,32}):(.+)$/s.exec(entry.trim());
    if (match === null) throw new TypeError(`entry ${index + 1} is not of the form kid:secret`);
    const [, id = '', value = ''] = match;
    if (Buffer.byteLength(value) < MIN_SECRET_BYTES) {
      throw new TypeError(`the secret of entry ${index + 1} is shorter than ${MIN_SECRET_BYTES} bytes`);
    }
    return { id, value };
  });
  if (new Set(secrets.map(({ id }) => id)).size !== secrets.length) throw new TypeError('a key id occurs twice');
  return secrets;
}

/** HMAC-SHA256 with a key of its own per purpose (HKDF, RFC 5869), so that no output can serve elsewhere. */
export class MacKey {
  readonly #key: Buffer;

  constructor(secret: string, purpose: string) {
    this.#key = Buffer.from(hkdfSync('sha256', secret, 'holdfast', `holdfast:v1:${purpose}`, 32));
  }

  /** @returns 32 bytes over the parts, each with its length */
  mac(...parts: readonly string[]): Buffer {
    const hmac = createHmac('sha256', this.#key);
    for (const part of parts) hmac.update(`${Buffer.byteLength(part)}:${part}:`);
    return hmac.digest();
  }
}

/** One key per secret for a purpose, in the secrets' order. */
export function macKeys(secrets: readonly Secret[], purpose: string): MacKey[] {
  return secrets.map(({ value }) => new MacKey(value, purpose));
}

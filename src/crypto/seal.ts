import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { Secret } from './secrets.js';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SEALED = /^([\w-]{1,32})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{22,})$/;

/**
 * AES-256-GCM for what has to be read again, with a key of its own per secret and purpose (HKDF, RFC 5869). The form
 * is `<kid>.<nonce>.<ciphertext and tag>` in unpadded base64url. The first secret seals, all of them open.
 */
export class Sealer {
  readonly #purpose: string;
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly #first: string;

  /** @throws TypeError without a secret */
  constructor(secrets: readonly Secret[], purpose: string) {
    const [first] = secrets;
    if (first === undefined) throw new TypeError('sealing needs a secret');
    this.#purpose = purpose;
    this.#first = first.id;
    const keyOf = (secret: string) =>
      Buffer.from(hkdfSync('sha256', secret, 'holdfast', `holdfast:v1:seal:${purpose}`, 32));
    this.#keys = new Map(secrets.map(({ id, value }) => [id, keyOf(value)]));
  }

  /** @param context what the text belongs to: it opens under this context and no other */
  seal(text: string, ...context: readonly string[]): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key(this.#first), nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(this.#aad(context));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `${this.#first}.${nonce.toString('base64url')}.${sealed.toString('base64url')}`;
  }

  /** @returns undefined for what was not sealed under this context, or under a secret that is gone */
  open(sealed: string, ...context: readonly string[]): string | undefined {
    const [, kid = '', nonce = '', body = ''] = SEALED.exec(sealed) ?? [];
    if (!this.#keys.has(kid)) return undefined;
    const bytes = Buffer.from(body, 'base64url');
    const options = { authTagLength: TAG_BYTES };
    const decipher = createDecipheriv('aes-256-gcm', this.#key(kid), Buffer.from(nonce, 'base64url'), options);
    decipher.setAAD(this.#aad(context));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]).toString('utf8');
    } catch {
      return undefined;
    }
  }

  #key(kid: string): Buffer {
    const key = this.#keys.get(kid);
    if (key === undefined) throw new RangeError(`there is no secret ${kid}`);
    return key;
  }

  /** Each part with its length, so that no two contexts meet. */
  #aad(context: readonly string[]): Buffer {
    return Buffer.from([this.#purpose, ...context].map((part) => `${Buffer.byteLength(part)}:${part}`).join(':'));
  }
}

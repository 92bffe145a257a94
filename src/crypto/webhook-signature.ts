/** Signatures of webhooks by Standard Webhooks 1.0, https://www.standardwebhooks.com. */
import { createHmac, timingSafeEqual } from 'node:crypto';

const PREFIX = 'whsec_';
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const MIN_BYTES = 24;
const MAX_BYTES = 64;
/** A signature that is older or newer is no longer taken, so that nobody can replay it later. */
const TOLERANCE_S = 300;
/** A header with more signatures than any rotation has is not worth the work. */
const MAX_SIGNATURES = 16;

/** The body was not signed with any of the secrets, or not just now. */
export class WebhookVerificationError extends Error {
  override readonly name = 'WebhookVerificationError';
}

/** The headers of one webhook. */
export type WebhookHeaders = Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>;

/**
 * Reads a secret of the form `whsec_<base64>`, of 24 to 64 bytes.
 * @throws TypeError with a message that names the fault and not the secret
 */
export function parseWebhookSecret(text: string): Buffer {
  const base64 = text.startsWith(PREFIX) ? text.slice(PREFIX.length) : '';
  if (!BASE64.test(base64)) throw new TypeError('a webhook secret is of the form whsec_<base64>');
  const secret = Buffer.from(base64, 'base64');
  if (secret.length < MIN_BYTES || secret.length > MAX_BYTES) {
    throw new TypeError(`a webhook secret has ${MIN_BYTES} to ${MAX_BYTES} bytes`);
  }
  return secret;
}

/**
 * @param secrets each makes a signature, so that a receiver may know either during a rotation
 * @param id the same for each repetition; without a dot
 * @param timestampS seconds since 1970
 */
export function signWebhook(secrets: readonly Buffer[], id: string, timestampS: number, body: string): WebhookHeaders {
  const signatures = secrets.map((secret) => `v1,${mac(secret, id, String(timestampS), body).toString('base64')}`);
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampS),
    'webhook-signature': signatures.join(' '),
  };
}

/**
 * @param body as it came, before any parsing
 * @param headers names in lower case, as Node gives them
 * @param nowS seconds since 1970; up to 5 minutes of difference are tolerated
 * @throws WebhookVerificationError
 */
export function verifyWebhook(
  secrets: readonly Buffer[],
  headers: Readonly<Record<string, string | string[] | undefined>>,
  body: string | Buffer,
  nowS = Math.floor(Date.now() / 1_000),
): void {
  const [id, timestamp, signature] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => {
    const value = headers[name];
    if (typeof value !== 'string') throw new WebhookVerificationError(`there is no header ${name}`);
    return value;
  }) as [string, string, string];
  if (!/^\d{1,15}$/.test(timestamp)) throw new WebhookVerificationError('the timestamp is not a number');
  if (Math.abs(nowS - Number(timestamp)) > TOLERANCE_S) {
    throw new WebhookVerificationError('the timestamp is too old or too new');
  }
  const expected = secrets.map((secret) => mac(secret, id, timestamp, body));
  const isSigned = signature.split(' ', MAX_SIGNATURES).some((entry) => {
    if (!entry.startsWith('v1,')) return false;
    const given = Buffer.from(entry.slice('v1,'.length), 'base64');
    return expected.some((one) => given.length === one.length && timingSafeEqual(given, one));
  });
  if (!isSigned) throw new WebhookVerificationError('no signature matches');
}

function mac(secret: Buffer, id: string, timestamp: string, body: string | Buffer): Buffer {
  return createHmac('sha256', secret).update(`${id}.${timestamp}.`).update(body).digest();
}

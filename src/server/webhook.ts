/** What the gateway asks and tells the application over HTTP, and how to know that it was the gateway. */
import {
  parseWebhookSecret,
  verifyWebhook as verifySignature,
  WebhookVerificationError,
} from '../crypto/webhook-signature.js';
import { HoldfastError } from '../protocol/errors.js';
import type { OwnershipReason } from '../protocol/messages.js';
import { isObject } from '../protocol/validate.js';

interface OfWebhook {
  /** The same for each repetition: of an event its own id. */
  id: string;
}

interface OfConnection {
  session_id: string;
  principal: string;
  connection_id: string;
  /** Of the connection's login, where it has one. */
  login_id?: string;
}

/** Any JSON value, or base64. */
type Content = { data: unknown; bytes?: never } | { bytes: string; data?: never };

/** What may this principal do with the session? */
export interface AuthorizeRequest extends OfWebhook, OfConnection {
  type: 'authorize';
}

/** May the owner's message be stored and delivered? */
export type MessageRequest = OfWebhook & OfConnection & { type: 'message'; owner_epoch: number } & Content;

interface OfEvent extends OfWebhook {
  /** ms since 1970 by the store's clock. */
  at: number;
}

interface OfSession extends OfEvent {
  session_id: string;
  namespace: string;
}

export interface OwnershipEvent extends OfSession {
  type: 'session.owned' | 'session.reclaimed' | 'session.held' | 'session.released';
  owner_epoch: number;
  /** With `owner_epoch` the order of a session's events. */
  rev: number;
  reason: OwnershipReason;
  /** Whose the session is, or was before it became free. */
  connection_id?: string;
  principal?: string;
  node?: string;
  /** Owned: the lease's end; held: the grace period's. */
  until?: number;
}

/** Nobody has owned the session for long, and nothing was published in it. */
export interface IdleEvent extends OfSession {
  type: 'session.idle';
}

export type SignalEvent = OfSession & OfConnection & { type: 'session.signal' } & Content;

export interface LoginRevokedEvent extends OfEvent {
  type: 'login.revoked';
  /** The login's handle, as the audit stream has it. */
  login: string;
  principal: string;
  reason: string;
}

/** Delivered at least once, those of one session in order. */
export type WebhookEvent = OwnershipEvent | IdleEvent | SignalEvent | LoginRevokedEvent;

export type Webhook = AuthorizeRequest | MessageRequest | WebhookEvent;

/** Headers as Node has them, or as `fetch` has them. */
export type WebhookHeaders = Readonly<Record<string, string | string[] | undefined>> | Headers;

/**
 * Checks that the gateway sent this, within the last 5 minutes (Standard Webhooks, https://www.standardwebhooks.com).
 * Types that this version does not know are given as they are.
 * @param rawBody as it came, before any parsing
 * @param secrets `whsec_…`: one, or all that are in use during a rotation
 * @throws HoldfastError `invalid_credential` for a signature that is wrong, missing or too old; `malformed_frame` for a
 * body that is none
 * @throws TypeError for a secret that is none
 */
export function verifyWebhook(
  headers: WebhookHeaders,
  rawBody: string | Buffer,
  secrets: string | readonly string[],
): Webhook {
  return verified(headers, rawBody, parseSecrets(secrets));
}

/** @throws TypeError */
export function parseSecrets(secrets: string | readonly string[]): Buffer[] {
  const list = typeof secrets === 'string' ? [secrets] : secrets;
  if (list.length === 0) throw new TypeError('without a secret no webhook can be verified');
  return list.map(parseWebhookSecret);
}

/** @throws HoldfastError `invalid_credential`, `malformed_frame` */
export function verified(headers: WebhookHeaders, rawBody: string | Buffer, secrets: readonly Buffer[]): Webhook {
  const named = headers instanceof Headers ? Object.fromEntries(headers) : headers;
  try {
    verifySignature(secrets, named, rawBody);
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    throw new HoldfastError('invalid_credential', `This is no webhook of the gateway: ${error.message}`);
  }
  const body = objectOf(rawBody.toString());
  if (typeof body?.['type'] !== 'string') throw new HoldfastError('malformed_frame', 'The body is no webhook');
  return { ...body, id: named['webhook-id'] } as unknown as Webhook;
}

function objectOf(text: string) {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

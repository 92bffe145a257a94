import { randomUUID } from 'node:crypto';
import { HoldfastError } from '../protocol/errors.js';
import type { Payload } from '../protocol/messages.js';
import { payloadOf } from '../protocol/payload.js';
import { namespaceOf } from '../protocol/session-id.js';
import { type HookClient, HookError } from './hook-client.js';
import type { HttpAnswer } from './http-post.js';
import type { Outbox } from './ports.js';

const MAX_TTL_MS = 3_600_000;
const MAX_RIGHTS = 16;
const MAX_REASON_CHARACTERS = 256;

interface Caller {
  sessionId: string;
  connectionId: string;
  principal: string;
  loginId: string | undefined;
}

interface OwnerMessage extends Caller {
  ownerEpoch: number;
  payload: Payload;
  requestId: string;
}

interface Verdict {
  accept: boolean;
  reason?: string;
  payload?: Payload;
}

export interface HookedApplicationOptions {
  /** Absent: nobody gets a right in this way. */
  authorize?: HookClient | undefined;
  /** Absent: every message is accepted as it is. */
  message?: HookClient | undefined;
  /** Absent: signals are not told. */
  outbox?: Outbox | undefined;
  /** How long rights hold when the application does not say. */
  authorizeTtlMs: number;
}

/** The application behind its hooks; what the sessions ask of it. */
export class HookedApplication {
  readonly #options: HookedApplicationOptions;

  constructor(options: HookedApplicationOptions) {
    this.#options = options;
  }

  /**
   * What the caller's principal may do with the session, and for how long that holds, at most an hour.
   * @throws HoldfastError `application_unavailable`
   */
  async authorize(caller: Caller): Promise<{ allow: readonly string[]; ttlMs: number }> {
    const { authorize, authorizeTtlMs } = this.#options;
    if (authorize === undefined) return { allow: [], ttlMs: authorizeTtlMs };
    const body = JSON.stringify({ type: 'authorize', ...callerFields(caller) });
    return ask(authorize, `auth_${randomUUID()}`, body, (answer) => rightsOf(answer, authorizeTtlMs));
  }

  /**
   * What is to be stored in place of an owner's message.
   * @throws HoldfastError `message_rejected`, `application_unavailable`
   */
  async accept(message: OwnerMessage): Promise<Payload> {
    const { message: hook } = this.#options;
    const { payload, ownerEpoch, requestId } = message;
    if (hook === undefined) return payload;
    const fields = { ...callerFields(message), owner_epoch: ownerEpoch, ...payload };
    const verdict = await ask(hook, requestId, JSON.stringify({ type: 'message', ...fields }), verdictOf);
    if (verdict.accept) return verdict.payload ?? payload;
    throw new HoldfastError('message_rejected', verdict.reason ?? 'the application rejects the message');
  }

  /** Tells of a signal, at least once. @throws HoldfastError `store_unavailable` */
  async signalled(caller: Caller, payload: Payload): Promise<void> {
    const { sessionId } = caller;
    const fields = { ...callerFields(caller), namespace: namespaceOf(sessionId), ...payload };
    await this.#options.outbox?.add({ type: 'session.signal', subject: sessionId, fields });
  }
}

function callerFields({ sessionId, principal, connectionId, loginId }: Caller): Record<string, unknown> {
  const login = loginId !== undefined && { login_id: loginId };
  return { session_id: sessionId, principal, connection_id: connectionId, ...login };
}

async function ask<T>(
  hook: HookClient,
  id: string,
  body: string,
  read: (answer: Record<string, unknown>) => T | undefined,
): Promise<T> {
  try {
    return await hook.call(id, body, (answer) => {
      const object = objectOf(answer);
      return object && read(object);
    });
  } catch (error) {
    if (!(error instanceof HookError)) throw error;
    const { retryAfterMs } = error;
    const text = 'the application behind the gateway gave no usable answer';
    throw new HoldfastError('application_unavailable', text, { retryAfterMs, cause: error });
  }
}

function objectOf({ status, body }: HttpAnswer): Record<string, unknown> | undefined {
  if (status !== 200) return undefined;
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function rightsOf(answer: Record<string, unknown>, defaultTtlMs: number) {
  const { allow, ttl_ms: ttlMs = defaultTtlMs } = answer;
  if (!Array.isArray(allow) || allow.length > MAX_RIGHTS) return undefined;
  if (!allow.every((right) => typeof right === 'string')) return undefined;
  if (typeof ttlMs !== 'number' || !(ttlMs >= 0)) return undefined;
  return { allow, ttlMs: Math.min(ttlMs, MAX_TTL_MS) };
}

function verdictOf(answer: Record<string, unknown>): Verdict | undefined {
  const { accept, reason } = answer;
  if (accept === false) {
    return { accept, ...(typeof reason === 'string' && { reason: reason.slice(0, MAX_REASON_CHARACTERS) }) };
  }
  if (accept !== true) return undefined;
  if (!Object.hasOwn(answer, 'data') && answer['bytes'] === undefined) return { accept };
  try {
    return { accept, payload: payloadOf(answer) };
  } catch {
    return undefined;
  }
}

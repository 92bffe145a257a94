/** The gateway's routes for a session's messages as functions. */
import type { HistoryPage, NewMessage, Published, PublishResult } from '../protocol/http.js';
import { type GatewayHttp, newIdempotencyKey } from './gateway-http.js';

export type AddressedMessage = NewMessage & { session_id: string };

/** Which part of a session's history: what follows an offset, or precedes it; the last messages when neither is given. */
export type HistoryQuery = ({ after?: number; before?: never } | { before: number; after?: never }) & {
  /** 1 to 1,000; default 100. */
  limit?: number;
};

/** Messages without an `idempotency_key` get one, so that a call that is repeated publishes nothing twice. */
export interface Messages {
  /**
   * Publishes one message, or 1 to 1,000 of which each has its own result.
   * @throws `stale_epoch`, `offset_conflict`, `history_full`, `idempotency_conflict`, `message_too_large`; of several
   * messages these are results
   */
  publish(sessionId: string, message: NewMessage): Promise<Published>;
  publish(sessionId: string, messages: readonly NewMessage[]): Promise<PublishResult[]>;
  /** 1 to 1,000 messages to any sessions; those of one session keep their order. */
  publishMany(messages: readonly AddressedMessage[]): Promise<PublishResult[]>;
  history(sessionId: string, query?: HistoryQuery): Promise<HistoryPage>;
  /** Removes the messages up to and including `through`. */
  truncate(sessionId: string, through: number): Promise<void>;
  /** Frees the session, ends its subscriptions and removes its messages. */
  removeSession(sessionId: string): Promise<void>;
}

export function messageCalls(http: GatewayHttp): Messages {
  const repeatable = true;

  async function publish(sessionId: string, message: NewMessage): Promise<Published>;
  async function publish(sessionId: string, messages: readonly NewMessage[]): Promise<PublishResult[]>;
  async function publish(sessionId: string, given: NewMessage | readonly NewMessage[]): Promise<unknown> {
    const path = ['sessions', sessionId, 'messages'];
    if (!isSeveral(given)) return http.send({ method: 'POST', path, body: keyed(given), repeatable });
    return results(await http.send({ method: 'POST', path, body: { messages: given.map(keyed) }, repeatable }));
  }

  return {
    publish,
    publishMany: async (messages) => {
      const body = { messages: messages.map(keyed) };
      return results(await http.send({ method: 'POST', path: ['messages'], body, repeatable }));
    },
    history: async (sessionId, query = {}) => {
      const given = Object.entries(query).filter(([, value]) => value !== undefined);
      const text = Object.fromEntries(given.map(([key, value]) => [key, String(value)]));
      const path = ['sessions', sessionId, 'history'];
      return (await http.send({ method: 'GET', path, query: text, repeatable })) as HistoryPage;
    },
    truncate: async (sessionId, through) => {
      const path = ['sessions', sessionId, 'history'];
      await http.send({ method: 'DELETE', path, query: { through: String(through) }, repeatable });
    },
    removeSession: async (sessionId) => {
      // Sent late again, it would remove what came meanwhile.
      await http.send({ method: 'DELETE', path: ['sessions', sessionId], repeatable: false });
    },
  };
}

function isSeveral(given: NewMessage | readonly NewMessage[]): given is readonly NewMessage[] {
  return Array.isArray(given);
}

/** Longer than a call tries, and short, since each key takes memory for so long. */
const OWN_KEY_MS = 30_000;

/** @returns the message with a key under which it is known when it comes again */
export function keyed<M extends NewMessage>(message: M): M {
  if (message.idempotency_key !== undefined) return message;
  return { ...message, idempotency_key: newIdempotencyKey(), idempotency_ms: OWN_KEY_MS };
}

function results(answer: unknown): PublishResult[] {
  return (answer as { results: PublishResult[] }).results;
}

import { randomUUID } from 'node:crypto';
import { systemClock } from '../lib/clock.js';
import { HoldfastError } from '../protocol/errors.js';
import type { NewMessage, Published } from '../protocol/http.js';
import { payloadOf } from '../protocol/payload.js';
import { isSessionId, SESSION_ID_RULE } from '../protocol/session-id.js';
import { refuse } from '../protocol/validate.js';
import type { AppendRequest, Retention } from '../session/message-ports.js';
import { MessageWriter } from '../session/message-writer.js';
import { publicationOf } from '../session/publication.js';
import { appendCall, appendOutcome } from '../store/redis/append-call.js';
import { Keys } from '../store/redis/keys.js';
import { Scripts } from '../store/redis/scripts.js';
import type { Publisher } from './publisher.js';

/** What is needed of a Redis client; those of ioredis have it. Give it a time-out, and no `keyPrefix`. */
export interface RedisScriptClient {
  evalsha(sha1: string, keys: number, ...args: (string | number)[]): Promise<unknown>;
  eval(script: string, keys: number, ...args: (string | number)[]): Promise<unknown>;
}

/** All of it as the gateway has it in its settings. */
export interface RedisPublisherOptions {
  /** To the gateway's Redis. */
  client: RedisScriptClient;
  /** `redisPrefix`. Default `hf`. */
  prefix?: string;
  /** Whether it is a Redis Cluster. */
  cluster?: boolean;
  /** `historyCount`, `historyBytes`, `historyAgeMs`, `historyWhenFull`. Default 1,000, 1 MiB, 1 h, `drop_oldest`. */
  retention?: Partial<Retention>;
  /** `maxMessageBytes`. Default 65,536. */
  maxMessageBytes?: number;
  /** `sessionIdleMs`. Default 0. */
  sessionIdleMs?: number;
}

const RETENTION: Retention = {
  maxCount: 1_000,
  maxBytes: 1_024 * 1_024,
  maxAgeMs: 3_600_000,
  whenFull: 'drop_oldest',
};

/**
 * A publisher that writes to the gateway's Redis by the gateway's own script, without a gateway in between: from any
 * process that may reach that Redis. Checks nothing but the message itself. For each session one call is under way, and
 * what comes meanwhile goes in the next; at most 1,000 messages or 4 MiB of a session wait, and 64 MiB in all. A call
 * whose outcome is unknown is repeated as the same request for 10 s, so that nothing is published twice; then it fails
 * with `store_unavailable`.
 * @throws TypeError for a prefix that is none
 */
export function createRedisPublisher(options: RedisPublisherOptions): Publisher {
  const { client, prefix = 'hf', cluster = false, maxMessageBytes = 65_536, sessionIdleMs = 0 } = options;
  const retention = { ...RETENTION, ...options.retention };
  const keys = new Keys(prefix);
  const scripts = new Scripts(client as ConstructorParameters<typeof Scripts>[0], {
    PUBLISH: cluster ? 'SPUBLISH' : 'PUBLISH',
    OUTBOX: 0,
    IDLE_MS: sessionIdleMs,
  });

  async function append(request: AppendRequest) {
    const call = appendCall(keys, request);
    let reply: unknown;
    try {
      reply = await scripts.run('append', call.keys, call.args);
    } catch (cause) {
      throw new HoldfastError('store_unavailable', 'Redis did not answer as it should', { cause });
    }
    return appendOutcome(String(reply));
  }

  const writer = new MessageWriter({
    messages: { append },
    clock: systemClock,
    writerId: randomUUID(),
    retentionOf: () => retention,
  });
  const underWay = new Set<Promise<Published>>();
  let isClosed = false;

  async function write(sessionId: string, message: NewMessage): Promise<Published> {
    if (!isSessionId(sessionId)) refuse('session_id', SESSION_ID_RULE);
    const item = publicationOf(sessionId, message, payloadOf(message));
    if (item.bytes > maxMessageBytes) {
      const rule = `A message has at most ${maxMessageBytes} bytes, not ${item.bytes}`;
      throw new HoldfastError('message_too_large', rule);
    }
    const { item: written, epoch } = await writer.append(sessionId, item);
    if (!('offset' in written)) throw new HoldfastError(written.result, 'The session does not take the message');
    const isDuplicate = written.result === 'duplicate';
    return { session_id: sessionId, offset: written.offset, epoch, ...(isDuplicate && { duplicate: true }) };
  }

  return {
    publish: async (sessionId, message) => {
      if (isClosed) throw new HoldfastError('draining', 'The publisher is closed');
      const published = write(sessionId, message);
      underWay.add(published);
      try {
        return await published;
      } finally {
        underWay.delete(published);
      }
    },
    close: async () => {
      isClosed = true;
      await Promise.allSettled(underWay);
    },
  };
}

import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../protocol/errors.js';
import type { StoreTelemetry } from './telemetry.js';

/**
 * What an error says about the command. `not_sent`: Redis did not execute it. `unknown`: it may have. `rejected`: Redis
 * executed or refused it for good; the same command again fails again.
 */
export type ErrorClass = 'not_sent' | 'unknown' | 'rejected';

/** A line for the operator on why this Redis cannot be used, without any secret. */
export class RedisRequirementError extends Error {
  override readonly name = 'RedisRequirementError';
}

/** Replies by which Redis refuses a command before it executes any of it. */
const REFUSALS = new Set([
  'ASK',
  'BUSY',
  'CLUSTERDOWN',
  'LOADING',
  'MASTERDOWN',
  'MISCONF',
  'MOVED',
  'NOREPLICAS',
  'NOSCRIPT',
  'OOM',
  'READONLY',
  'TRYAGAIN',
]);

const NOT_SENT = [
  "Stream isn't writeable",
  "Cluster isn't ready",
  // The last of them was a refusal by a node that does not serve the slot.
  'Too many Cluster redirections',
  'Failed to refresh slots cache',
];

export function classify(error: unknown): ErrorClass {
  const message = error instanceof Error ? error.message : String(error);
  if (NOT_SENT.some((start) => message.startsWith(start))) return 'not_sent';
  if (!isReply(error)) return 'unknown';
  return REFUSALS.has(message.split(' ', 1)[0] ?? '') ? 'not_sent' : 'rejected';
}

function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}

/** With which Redis quotes a command that it does not know, such as an AUTH that was renamed. */
const QUOTED = /, with args beginning with:.*/s;

/** An error's text alone. ioredis hangs the whole command on its errors, and commands carry what no log should. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof HoldfastError && error.cause instanceof Error) return messageOf(error.cause);
  const { lastNodeError } = error as { lastNodeError?: unknown };
  const text = error.message.replace(QUOTED, '');
  return lastNodeError instanceof Error ? `${text} ${messageOf(lastNodeError)}` : text;
}

const RETRY_BUDGET_MS = 1500;
const FIRST_DELAY_MS = 20;
const MAX_DELAY_MS = 250;
const RETRY_AFTER_MS = 1000;

/**
 * Runs one idempotent command, and again for up to 1.5 s while Redis refuses it for the time being (a failover, a slot
 * that moves) or its outcome is unknown. `attempt` must send the very same request each time.
 * @throws HoldfastError `store_unavailable`
 */
export async function call<T>(telemetry: StoreTelemetry, verb: string, attempt: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  // What Redis said explains more than that the connection was lost over it.
  let refusal: unknown;
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, MAX_DELAY_MS)) {
    const sentMs = performance.now();
    try {
      const reply = await attempt();
      telemetry.command(verb, 'ok', performance.now() - sentMs);
      return reply;
    } catch (error) {
      const kind = classify(error);
      if (isReply(error)) refusal = error;
      const nowMs = performance.now();
      telemetry.command(verb, kind, nowMs - sentMs);
      const waitMs = delayMs * (0.5 + Math.random());
      if (kind === 'rejected' || nowMs - startMs + waitMs > RETRY_BUDGET_MS) {
        throw unavailable(refusal ?? error, kind);
      }
      await sleep(waitMs);
    }
  }
}

export function unavailable(error: unknown, kind = classify(error)): HoldfastError {
  const what = kind === 'rejected' ? 'the session store refused the command' : 'the session store cannot be reached';
  const cause = new Error(messageOf(error));
  return new HoldfastError('store_unavailable', what, { retryAfterMs: RETRY_AFTER_MS, cause });
}

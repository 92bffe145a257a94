import type { Outbox, OutboxEvent } from '../../src/backend/ports.js';
import type { LoginStore } from '../../src/login/ports.js';
import type { OwnershipStore } from '../../src/session/ports.js';
import { type LoginHarness, startLogin } from './login-harness.js';

/** Stores that tell, and what they tell. */
export interface OutboxHarness {
  outbox: Outbox;
  /** Another node's over the same data; where there is only one node, the same. */
  other: Outbox;
  store: OwnershipStore;
  logins: LoginStore;
  /** Stores a message in a session. */
  publish(sessionId: string): Promise<void>;
  /** Lets the store's time pass. */
  wait(ms: number): Promise<void>;
  close(): Promise<void>;
}

export type MakeOutboxHarness = (settings?: { sessionIdleMs?: number }) => Promise<OutboxHarness>;

/** A new login, of which nothing is needed but the store. */
export function newLogin(logins: LoginStore): ReturnType<typeof startLogin> {
  return startLogin({ store: logins } as LoginHarness);
}

export const LEASE_MS = 60_000;

/** Everything that waits, oldest first within a partition, which is left to others as it was. */
export async function waiting(outbox: Outbox, consumer = 'reader'): Promise<OutboxEvent[]> {
  const events: OutboxEvent[] = [];
  for (let partition = 0; partition < outbox.partitions; partition += 1) {
    if (!(await outbox.acquire(partition, consumer, LEASE_MS))) throw new Error('another has the partition');
    events.push(...(await outbox.read(partition, consumer, 1_000, false)));
    await outbox.release(partition, consumer);
  }
  return events;
}

export async function waitingFor(outbox: Outbox, subject: string): Promise<OutboxEvent[]> {
  return (await waiting(outbox)).filter((event) => event.subject === subject);
}

export function partitionOf(event: OutboxEvent): number {
  return Number(event.id.split('-', 1)[0]);
}

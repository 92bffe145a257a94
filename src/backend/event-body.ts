import type { OutboxEvent } from './ports.js';

/** The body of an event's webhook. */
export function eventBody({ id, type, atMs, fields }: OutboxEvent): string {
  return JSON.stringify({ id, type, at: atMs, ...fields });
}

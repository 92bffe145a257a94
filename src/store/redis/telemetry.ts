import type { ErrorClass } from './errors.js';

/** What the Redis store reports; metrics implement it. */
export interface StoreTelemetry {
  /** One attempt at a command; a retried call reports each. */
  command(verb: string, result: 'ok' | ErrorClass, durationMs: number): void;
  connection(event: 'ready' | 'lost' | 'error'): void;
  /** Published events may have been missed. */
  gap(): void;
  /** Whether a probe that was published to this node came back in time. */
  probe(ok: boolean): void;
}

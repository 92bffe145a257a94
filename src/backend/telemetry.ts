/** What the calls to the application report; implemented by ops/metrics. */
import type { EventType, OutboxBacklog } from './ports.js';

export type HookName = 'authorize' | 'message' | 'events';

/**
 * `answered`: with the status that the hook is defined for, and a body that can be used. `refused`: with another status.
 * `garbage`: with a body that cannot be used. `no_answer`: none within the time, or a connection that broke. `skipped`:
 * nothing was sent, since the calls before failed or too many are under way.
 */
export type HookOutcome = 'answered' | 'refused' | 'garbage' | 'no_answer' | 'skipped';

export interface BackendTelemetry {
  /** A call of a hook. */
  hook(name: HookName, outcome: HookOutcome, durationMs: number): void;
  eventDelivered(type: EventType): void;
  /** A delivery failed, and will be tried again. */
  eventRetried(type: EventType): void;
  /** An event was given up. */
  eventBuried(type: EventType): void;
  /** Events in the outboxes of all partitions, from time to time. */
  backlog(backlog: OutboxBacklog): void;
}

/**
 * Why an upgrade was answered with plain HTTP, or completed and closed at once (`credential`), or its socket dropped
 * unheard (`file_descriptors`).
 */
export type UpgradeRefusal =
  | 'origin'
  | 'draining'
  | 'overloaded'
  | 'file_descriptors'
  | 'too_many_connections'
  | 'malformed'
  | 'not_found'
  | 'store_unavailable'
  | 'credential';

/** What the transport reports; metrics implement it. */
export interface TransportTelemetry {
  /** Open connections, after each change. */
  connections(count: number): void;
  refused(reason: UpgradeRefusal): void;
  frameReceived(): void;
  /** A frame was answered `rate_limited`. */
  rateLimited(): void;
  slowConsumer(): void;
  closed(code: number): void;
}

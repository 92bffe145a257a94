import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import type { TurnQueue } from '../lib/turn-queue.js';
import type { Connection } from './connection.js';
import type { SessionsApi } from './sessions-api.js';
import type { TransportTelemetry } from './telemetry.js';
import type { TimerWheel } from './timer-wheel.js';
import type { BucketLimits } from './token-bucket.js';
import type { TurnWrites } from './turn-writes.js';

/** Bounds of one connection. */
export interface ConnectionLimits {
  maxPayloadBytes: number;
  maxSubscriptions: number;
  /** Requests that are not answered yet. */
  maxPendingRequests: number;
  /** Unsent bytes beyond which the connection is a slow consumer. */
  maxQueueBytes: number;
  /** Above which messages are compressed for connections that can read it; 0: compression is not negotiated. */
  compressAboveBytes: number;
  /** Frames in a row that are malformed or wrong before the connection is closed. */
  maxBadFrames: number;
  /** All frames. */
  frames: BucketLimits;
  /** The sessions named by batch subscribes, which cost one frame each. */
  batch: BucketLimits;
  pingIntervalMs: number;
  /** How long after a ping something must have arrived. */
  pongTimeoutMs: number;
  /** How long past its end a credential may still be renewed. */
  renewalMarginMs: number;
  /** After how long a connection is sent elsewhere, give or take a tenth; 0: never. */
  maxAgeMs: number;
}

/** What all connections of a node share. */
export interface ConnectionContext {
  nodeId: string;
  sessions: SessionsApi;
  limits: ConnectionLimits;
  wheel: TimerWheel;
  turnWrites: Pick<TurnWrites, 'has' | 'add' | 'flush'>;
  /** Of the frames with messages that wait or are under way. */
  pending: { bytes: number };
  /** What is to be done for connections that are gone. */
  departures: TurnQueue;
  clock: Clock;
  log: Log;
  telemetry: TransportTelemetry;
  /** The connection is as old as it may get: it is to leave. */
  onAged(connection: Connection): void;
  /** The socket is closed and gone. */
  onGone(connection: Connection): void;
}

import type { ServerMessage } from '../protocol/messages.js';
import type { SessionRights } from './rights.js';

/** A connection as the domain sees it. `send` never throws and never blocks; what it cannot queue it drops by closing. */
export interface Subscriber {
  readonly id: string;
  readonly principal: string;
  readonly anonymous: boolean;
  /** May be replaced when the login is renewed. */
  readonly rights: SessionRights;
  /** The login that the connection belongs to, if any. */
  readonly login?: { id: string; handle: string } | undefined;
  /** False from the moment that the connection closes. */
  readonly open: boolean;
  /** An anonymous connection takes the principal that its reconnect token restores. Once at most. */
  restorePrincipal(principal: string): void;
  /** Whether it takes compressed frames. */
  readonly compresses: boolean;
  /** Bytes that were sent and that the peer's network has not taken yet. */
  readonly queuedBytes: number;
  send(message: ServerMessage): void;
  /** A whole WebSocket frame, ready to be written with what else this turn brings. */
  sendFrame(frame: Buffer): void;
  /** Frames that were gathered over a turn: written at once. The same buffer goes to many, and must not be changed. */
  sendFrames(frames: Buffer): void;
  /** Calls back once, in a later turn, when `queuedBytes` is zero; never after the connection has closed. */
  onDrained(callback: () => void): void;
}

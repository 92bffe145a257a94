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
  send(message: ServerMessage): void;
  /** A text frame's payload that was rendered once for many. */
  sendRendered(payload: Buffer): void;
}

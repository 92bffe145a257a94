import type { ClientMessage } from '../protocol/messages.js';
import type { SessionCore } from './session-core.js';
import type { Tokens } from './tokens.js';

/** What a session needs of its client. */
export interface SessionLink {
  readonly tokens: Tokens;
  readonly requestTimeoutMs: number;
  readonly operationTimeoutMs: number;
  /** @returns false for what is too large to be sent */
  send(message: ClientMessage): boolean;
  /** Asks to be subscribed with the next batch. */
  wantSubscribe(): void;
  /** The connection answers nothing: gives it up. */
  dropConnection(): void;
  nextRequestId(): string;
  ended(session: SessionCore): void;
}

/** What the domain asks of the application behind the gateway, where the operator has named one. */
import type { Payload } from '../protocol/messages.js';

/** On whose behalf. */
export interface Caller {
  sessionId: string;
  connectionId: string;
  principal: string;
  /** The login that the connection belongs to, if any. */
  loginId: string | undefined;
}

export interface OwnerMessage extends Caller {
  ownerEpoch: number;
  payload: Payload;
  /** The same for each repetition of the request. */
  requestId: string;
}

export interface Application {
  /**
   * What this principal may do with this session, and for how long that holds.
   * @throws HoldfastError `application_unavailable`
   */
  authorize(caller: Caller): Promise<{ allow: readonly string[]; ttlMs: number }>;

  /**
   * What is to be stored in place of an owner's message: the same, or another payload.
   * @throws HoldfastError `message_rejected`, `application_unavailable`
   */
  accept(message: OwnerMessage): Promise<Payload>;

  /** Tells of a signal, at least once. @throws HoldfastError `store_unavailable` */
  signalled(caller: Caller, payload: Payload): Promise<void>;
}

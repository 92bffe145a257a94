/** The wire protocol's frames as types. PROTOCOL.md says what each means; codec.ts checks them. */
import type { ErrorCode } from './error-codes.js';

export const SUBPROTOCOL = 'holdfast.v1';
/** Offered beside it, with a ticket behind: a browser can set no other header. Nodes never answer with it. */
export const TICKET_SUBPROTOCOL = 'holdfast.ticket.';
export const PROTOCOL_MINOR = 2;

export type OwnershipState = 'free' | 'owned' | 'held';

/**
 * Where somebody stands in the messages of a session: the next one is `offset + 1`. The epoch is opaque and names a run
 * of offsets of which none is given twice.
 */
export interface Position {
  epoch: string;
  offset: number;
}

/** What a message carries: any JSON value as `data`, or base64 as `bytes`. */
export type Payload = { data: unknown } | { bytes: string };

/** A payload as the text of a frame ends with it: `,"data":…}` or `,"bytes":"…"}`. */
export interface PayloadText {
  text: string;
  /** The text's, UTF-8, where they are known. */
  bytes?: number;
}

/** One session to subscribe to. */
export interface Subscription {
  session_id: string;
  /** `if_free` (default): become the owner when nobody is; `never`: only watch. */
  claim?: 'if_free' | 'never';
  reconnect_token?: string;
  /** At least 122 random bits, fresh for each operation, never stored: makes a repeat after a lost reply safe. */
  attempt_id?: string;
  /** Send what came after this position; `oldest`: all that is kept. Without, only what comes from now on. */
  since?: Position | 'oldest';
}

export type ClientMessage =
  | { type: 'subscribe'; id?: string; sessions: Subscription[] }
  | { type: 'unsubscribe'; id?: string; session_id: string }
  | { type: 'claim'; id?: string; session_id: string; attempt_id?: string; force?: boolean }
  | { type: 'release'; id?: string; session_id: string }
  /** The owner's. `idempotency_key`: the same key again, over whichever connection, is the same message. */
  | ({ type: 'send'; id?: string; session_id: string; idempotency_key?: string } & Payload)
  /** From a watcher to the owner and the application; not kept. */
  | ({ type: 'signal'; id?: string; session_id: string } & Payload)
  /** `access_token`: the application's own JWT, which the node cannot renew itself. */
  | { type: 'renew_login'; id?: string; access_token?: string }
  | { type: 'ping'; id?: string };

/** A checked `send`: its payload is passed on as text. */
export interface SendRequest {
  type: 'send';
  id?: string;
  session_id: string;
  idempotency_key?: string;
  readonly payload: PayloadText;
}

/** What a client's frame is read as. */
export type DecodedMessage = Exclude<ClientMessage, { type: 'send' }> | SendRequest;

/** Why the owner of a session changed. */
export type OwnershipReason =
  | 'claimed'
  | 'reclaimed'
  | 'handed_over'
  | 'forced'
  | 'transferred'
  | 'reestablished'
  /** The owner's node is sure of the lease again, after `lease_unconfirmed`. */
  | 'confirmed'
  | 'disconnected'
  | 'released'
  | 'unsubscribed'
  | 'expired'
  | 'removed'
  | 'revoked'
  /** The store lost the record. */
  | 'lost'
  /** Found out by comparing with the store, after the event itself was missed. */
  | 'resynced';

interface Acknowledgement {
  id?: string;
  session_id: string;
  owner: boolean;
  state: OwnershipState;
  /** 0 while the session was never owned. */
  owner_epoch: number;
  rev: number;
  grace_ms: number;
  /** Only to the owner. */
  reconnect_token?: string;
  /** The owner's principal, where the namespace shows principals. */
  principal?: string;
  /** While held: when the grace period ends, ms since 1970 by the store's clock. */
  until?: number;
}

export interface SubscribeAck extends Acknowledgement {
  type: 'subscribe_ack';
  /** What became of the presented reconnect token. */
  token_status?: 'accepted' | 'expired';
  /** The next message of this subscription is the one after it. */
  position: Position;
  /** To a subscription with `since`: whether exactly the missed messages follow. */
  recovered?: boolean;
}

export interface ClaimAck extends Acknowledgement {
  type: 'claim_ack';
}

export interface OwnershipMessage {
  type: 'ownership';
  session_id: string;
  state: OwnershipState;
  owner_epoch: number;
  rev: number;
  reason: OwnershipReason;
  principal?: string;
  until?: number;
  /** True to the owner itself. */
  owner?: true;
  /** To an owner that did not ask (handed over, transferred, re-established). */
  reconnect_token?: string;
}

/** A publication. The bytes of `message` frames are made in session/message-frame.ts, not by the codec. */
export type MessageMessage = {
  type: 'message';
  session_id: string;
  /** Of an ephemeral message: the last offset given before it. */
  offset: number;
  /** ms since 1970 by the store's clock. */
  at: number;
  /** Not kept, and outside of the order of offsets. */
  ephemeral?: true;
  /** At which the owner sent it; absent when the application did. */
  owner_epoch?: number;
  /** The sender's, where the namespace shows principals. */
  principal?: string;
} & Payload;

export interface PresenceMember {
  principal: string;
  connections: number;
}

export interface PresenceMessage {
  type: 'presence';
  session_id: string;
  /** `present`: everybody who is there, once after the subscription; then each change. */
  event: 'present' | 'joined' | 'left';
  /** Orders the events of one session. */
  rev: number;
  /** How many principals are there. */
  count: number;
  /** Who is there, joined or left; absent where the namespace hides principals. At most 1,000. */
  members?: PresenceMember[];
}

export type OwnershipLostReason =
  | 'reclaimed'
  | 'forced'
  | 'transferred'
  | 'removed'
  | 'expired'
  | 'revoked'
  | 'lost'
  | 'resynced'
  | 'lease_unconfirmed';

export type ServerMessage =
  | {
      type: 'welcome';
      connection_id: string;
      node: string;
      principal: string;
      /** When the credential of this connection ends, ms since 1970; absent when it does not. */
      expires_at?: number;
      ping_interval_ms: number;
      protocol_minor: number;
      features: string[];
      limits: { max_payload_bytes: number; max_subscriptions: number; messages_per_second: number };
    }
  | SubscribeAck
  | ClaimAck
  | { type: 'unsubscribe_ack'; id?: string; session_id: string }
  | { type: 'release_ack'; id?: string; session_id: string }
  | { type: 'pong'; id?: string }
  | OwnershipMessage
  | { type: 'ownership_lost'; session_id: string; reason: OwnershipLostReason; owner_epoch: number }
  | { type: 'send_ack'; id?: string; session_id: string; offset: number; owner_epoch: number }
  /** `owner`: whether a connection owned the session, to which the signal went. */
  | { type: 'signal_ack'; id?: string; session_id: string; owner: boolean }
  | MessageMessage
  /** To the owner. */
  | ({ type: 'signal'; session_id: string; connection_id: string; principal?: string } & Payload)
  | PresenceMessage
  /** This connection reads too slowly: messages after the position follow when it has caught up. */
  | { type: 'lagged'; session_id: string; position: Position }
  /** The history is another one now. `recovered`: nothing was missed or taken back, only the epoch is new. */
  | { type: 'reset'; session_id: string; position: Position; recovered: boolean }
  | { type: 'unsubscribed'; session_id: string; reason: 'removed' | 'forbidden' }
  /** `access_token`: a fresh one, where the connection belongs to a login. */
  | { type: 'login_renewed'; id?: string; access_token?: string; expires_at: number }
  | { type: 'login_expiring'; expires_at: number }
  | { type: 'reconnect'; after_ms: number; jitter_ms: number; reason: 'drain' | 'rebalance' }
  | {
      type: 'error';
      code: ErrorCode;
      message: string;
      retryable: boolean;
      retry_after_ms?: number;
      field?: string;
      id?: string;
      session_id?: string;
    };

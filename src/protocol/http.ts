/** What the HTTP routes answer; openapi.yaml describes each. Times are ms since 1970. */
import type { ErrorCode } from './error-codes.js';
import type { OwnershipState, Payload, Position, PresenceMember } from './messages.js';

/** A session as the application's backend sees it. */
export interface SessionReport {
  session_id: string;
  namespace: string;
  state: OwnershipState;
  owner_epoch: number;
  rev: number;
  principal?: string;
  connection_id?: string;
  node?: string;
  /** Owned: the lease's end; held: the grace period's. By the store's clock. */
  until?: number;
  /** Of the last message. */
  position: Position;
  /** The oldest message that is kept; `position.offset + 1` when none is. */
  first_offset: number;
  /** Where the namespace has presence. At most 1,000 members; `count` counts all principals. */
  presence?: { count: number; members: PresenceMember[] };
}

/** A message to be published. */
export type NewMessage = Payload & {
  /** Goes to who is there, and is not kept. */
  ephemeral?: boolean;
  idempotency_key?: string;
  /** How long the key is remembered: 1,000 to 300,000 (default) ms. */
  idempotency_ms?: number;
  /** Refused when another owner came since. */
  expected_owner_epoch?: number;
  /** Refused unless this is the last offset so far. */
  expected_offset?: number;
};

export interface Published {
  session_id: string;
  /** Of an ephemeral message: the last offset given before it. */
  offset: number;
  epoch: string;
  /** True when this was the answer to a message that had been published before. */
  duplicate?: true;
}

/** What became of one message of several, in their order. */
export type PublishResult =
  | Published
  | { session_id: string; error: { code: ErrorCode; message: string; retryable: boolean } };

export type StoredMessage = { offset: number; at: number; owner_epoch?: number; principal?: string } & Payload;

/** Part of a session's history, oldest first. */
export interface HistoryPage {
  session_id: string;
  messages: StoredMessage[];
  position: Position;
  first_offset: number;
}

export interface LoginView {
  login_id: string;
  principal: string;
  attributes: Record<string, unknown>;
  /** `{sessions, allow}` each. */
  rights: readonly object[];
  created_at: number;
  last_seen_at: number;
  expires_at: number;
  max_expires_at: number;
  state: 'active' | 'expired' | 'revoked';
  end_reason?: string;
}

export interface IssuedTokens {
  login_id: string;
  principal: string;
  access_token: string;
  /** When the access token ends. */
  expires_at: number;
  /** For clients that are no browsers. */
  refresh_token: string;
  /** When the refresh token ends at the latest. */
  max_expires_at: number;
}

export interface CreatedLogin extends IssuedTokens {
  /** For a page, and all that a page gets: exchanged once, within a minute. */
  login_code: string;
}

/** Of an upstream provider. */
export interface UpstreamAccessToken {
  access_token: string;
  token_type: string;
  /** Absent where the provider did not say. */
  expires_at?: number;
  scope?: string;
}

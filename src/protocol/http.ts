/** What the HTTP routes answer; openapi.yaml describes each. Times are ms since 1970. */
import type { OwnershipState } from './messages.js';

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

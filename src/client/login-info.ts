/** What a login tells of itself. */

export interface AccessToken {
  loginId: string;
  accessToken: string;
  /** ms since 1970, by the gateway's clock. */
  expiresAt: number;
}

/** The login as `GET /v1/auth/me` tells of it. Times are ms since 1970, by the gateway's clock. */
export interface LoginInfo {
  login_id: string;
  principal: string;
  attributes: Record<string, unknown>;
  rights: object[];
  created_at: number;
  last_seen_at: number;
  expires_at: number;
  max_expires_at: number;
  state: 'active' | 'expired' | 'revoked';
}

export interface UpstreamAccessToken {
  access_token: string;
  token_type: string;
  expires_at?: number;
  scope?: string;
}

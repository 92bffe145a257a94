/** What a login tells of itself. */

export interface AccessToken {
  loginId: string;
  accessToken: string;
  /** ms since 1970, by the gateway's clock. */
  expiresAt: number;
}

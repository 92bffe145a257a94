/** How a connection gets the credential of each attempt. */
export interface ConnectionLogin {
  /** A fresh ticket, for one attempt. */
  ticket(): Promise<string>;
  /** The gateway closed because the credential is no longer good: makes sure of a new one. */
  refresh(): Promise<unknown>;
  /** A fresh access token, which came over the connection. */
  renewed(accessToken: string, expiresAt: number): void;
  /**
   * Calls `listener` when the person has logged out, here or in another tab. Not when a request was refused: a connection
   * that works is its node's to close.
   * @returns what takes the listener off again
   */
  onEnded?(listener: () => void): () => void;
  /**
   * An open connection offers to renew the login over itself, which then takes no HTTP.
   * @returns what withdraws the offer: the connection is gone
   */
  offerRenewal?(renew: () => void): () => void;
  /** Where the credential is the application's own JWT: a fresh one, for renewing it over the connection. */
  readonly getAccessToken?: () => string | Promise<string>;
}

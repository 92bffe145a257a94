import type { UpstreamToken } from '../../login/api.js';

/** As RFC 6749 §5.1 names it, but for the time at which it ends. */
export function upstreamAnswer({ access_token, token_type, expires_at, scope }: UpstreamToken): object {
  return {
    access_token,
    token_type,
    ...(expires_at !== undefined && { expires_at }),
    ...(scope !== undefined && { scope }),
  };
}

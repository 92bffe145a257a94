/** Which web pages may connect. */

export interface OriginPolicy {
  /** Exact origins, such as `https://app.example.com`. */
  allowed: readonly string[];
  /** For development: any origin on this machine. */
  allowLoopback: boolean;
}

const LOOPBACK_HOST = /^(localhost|[a-z0-9-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/;

function isLoopback(origin: string): boolean {
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  return (url.protocol === 'http:' || url.protocol === 'https:') && LOOPBACK_HOST.test(url.hostname);
}

/** A request without Origin does not come from a browser: no page's user can be made to send it. */
export function isOriginAllowed(origin: string | undefined, { allowed, allowLoopback }: OriginPolicy): boolean {
  return origin === undefined || allowed.includes(origin) || (allowLoopback && isLoopback(origin));
}

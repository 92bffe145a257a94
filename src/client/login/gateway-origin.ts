/** Which gateways a login may be at: what another one is told could be told to anybody. */

/**
 * The gateway that the options name, else the page's own origin, where the application passes `/v1/auth` on.
 * @throws TypeError when there is none, or `named` is no http(s) URL
 */
export function gatewayOrigin(named: string | undefined, page: string | undefined): string {
  return named === undefined && page !== undefined ? page : originOf(named ?? '');
}

/**
 * The other gateways that an exchange may name and a later page may find stored. The page's own origin is not one of
 * them: it is what a set-up with one server left behind, and must not win over a gateway that is named today.
 * @throws TypeError for what is no http(s) URL
 */
export function otherGateways(listed: readonly string[], page: string | undefined): ReadonlySet<string> {
  const origins = new Set(listed.map(originOf));
  origins.delete(page ?? '');
  return origins;
}

/** @throws TypeError */
function originOf(url: string): string {
  if (!/^https?:\/\//.test(url)) throw new TypeError('a gateway begins with http:// or https://');
  return new URL(url).origin;
}

/**
 * Which gateway keeps the login: the one that an earlier exchange stored, else the one that the options name, else the
 * page's own origin, where the application passes `/v1/auth` on. A stored origin that is the page's own says nothing: it
 * is what a set-up with one server left behind, and must not win over a gateway that is named today.
 * @throws TypeError when there is none, or `named` is no http(s) URL
 */
export function gatewayOrigin(named: string | undefined, stored: string | null, page: string | undefined): string {
  const kept = stored === null ? undefined : originOf(stored);
  if (kept !== undefined && kept !== page) return kept;
  if (named === undefined && page !== undefined) return page;
  const origin = originOf(named ?? '');
  if (origin === undefined) throw new TypeError('url must begin with http:// or https://');
  return origin;
}

function originOf(text: string): string | undefined {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) return undefined;
  return new URL(text).origin;
}

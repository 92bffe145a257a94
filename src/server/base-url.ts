/**
 * The gateway's URL, to which paths are appended.
 * @throws TypeError for one to which none can be: no http(s) URL, or one with a user, a query or a fragment
 */
export function baseUrl(url: string): string {
  if (!/^https?:\/\//.test(url)) throw new TypeError('url must begin with http:// or https://');
  const { origin, pathname, username, password, search, hash } = new URL(url);
  if (username + password + search + hash !== '') throw new TypeError('url must have no user, query or fragment');
  return origin + pathname.replace(/\/+$/, '');
}

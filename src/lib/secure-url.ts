const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/**
 * An `https:` URL, or with `allowLoopbackHttp` an `http:` URL of this machine, without user name, password and fragment.
 * @throws TypeError that names the fault and nothing of the URL
 */
export function secureUrl(text: string, allowLoopbackHttp: boolean): URL {
  if (!URL.canParse(text)) throw new TypeError('it is not a URL');
  const url = new URL(text);
  const plain = allowLoopbackHttp && url.protocol === 'http:' && LOOPBACK.test(url.hostname);
  if (url.protocol !== 'https:' && !plain) throw new TypeError('it is not https');
  if (url.username !== '' || url.password !== '') throw new TypeError('it holds a user name or a password');
  if (url.hash !== '') throw new TypeError('it holds a fragment');
  return url;
}

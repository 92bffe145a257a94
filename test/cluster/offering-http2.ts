import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';

/** Asks as Java's client does where there is no TLS: for HTTP/1.1, or HTTP/2 from now on. @returns the status */
export async function statusOfferingHttp2(url: string): Promise<number | undefined> {
  const headers = {
    connection: 'Upgrade, HTTP2-Settings',
    upgrade: 'h2c',
    'http2-settings': 'AAMAAABkAARAAAAAAAIAAAAA',
  };
  const [response] = (await once(get(url, { headers }), 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

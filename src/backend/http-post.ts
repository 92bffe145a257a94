import { type Agent, type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

const MAX_BODY_BYTES = 65_536;
/** How a kept connection ends that the other side closed while it was taken into use. */
const STALE = new Set(['ECONNRESET', 'EPIPE']);

export interface HttpAnswer {
  status: number;
  body: string;
}

/**
 * Sends one POST over a kept connection. Follows no redirect, knows no proxy, and reads at most 64 KiB.
 * @param agent of the URL's protocol
 * @param signal ends it, the reading of the answer included
 * @throws Error on anything but a whole answer
 */
export async function post(
  url: URL,
  {
    headers,
    body,
    agent,
    signal,
  }: { headers: Record<string, string>; body: string; agent: Agent; signal: AbortSignal },
): Promise<HttpAnswer> {
  const length = Buffer.byteLength(body);
  const open = url.protocol === 'https:' ? requestHttps : requestHttp;
  const options = { method: 'POST', headers: { ...headers, 'content-length': length }, signal };
  const first = open(url, { ...options, agent });
  try {
    return await exchange(first, body);
  } catch (error) {
    const isStale = first.reusedSocket && STALE.has((error as NodeJS.ErrnoException).code ?? '');
    if (!isStale || signal.aborted) throw error;
    return exchange(open(url, { ...options, agent: false }), body);
  }
}

async function exchange(request: ClientRequest, body: string): Promise<HttpAnswer> {
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      // It may fail again after the answer began, and what reads that is told.
      request.on('error', reject);
      // A switch to another protocol (101) is neither of the two.
      request.once('close', () => reject(new Error('the connection ended without an answer')));
      request.end(body);
    });
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) throw new Error('the answer is too long');
      chunks.push(chunk);
    }
    return { status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') };
  } catch (error) {
    request.destroy();
    throw error;
  }
}

/** The gateway's `/v1/auth` as a function: answers by a script, else as one that has the login. */

export interface SentRequest {
  method: string | undefined;
  path: string;
  url: string;
  headers: Headers;
  credentials: string | undefined;
  body: Record<string, unknown> | undefined;
}

type Reply = Response | Promise<Response> | Error | 'hang' | 'hang on';

export function problem(status: number, code: string, retryAfterMs?: number): Response {
  const retryable = status === 429 || status >= 500;
  const body = { type: 'about:blank', status, detail: code, code, retryable, retry_after_ms: retryAfterMs };
  return new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/problem+json' } });
}

/** A token whose times are those of a gateway with a clock of its own. */
export function accessToken(serial: number, loginId = 'login_1', lifetimeMs = 300_000): string {
  const iat = 4_000_000_000;
  const payload = { login_id: loginId, iat, exp: iat + lifetimeMs / 1_000, serial };
  return `h.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.s`;
}

export class FakeAuth {
  readonly sent: SentRequest[] = [];
  /** What the next requests are answered with; the login goes on where there is nothing. */
  readonly replies: Reply[] = [];
  loginId = 'login_1';
  /** Outside of browsers. */
  refreshTokens = false;
  #serial = 0;

  readonly fetch: typeof fetch = async (input, init) => {
    if (typeof input !== 'string') throw new TypeError('the client gives URLs as text');
    const url = input;
    const path = new URL(url).pathname.replace('/v1/auth/', '');
    const body = typeof init?.body === 'string' ? (JSON.parse(init.body) as Record<string, unknown>) : undefined;
    this.sent.push({
      method: init?.method,
      path,
      url,
      headers: new Headers(init?.headers),
      credentials: init?.credentials,
      body,
    });
    const reply = this.replies.shift() ?? this.#answer(path);
    if (reply instanceof Error) throw reply;
    if (reply instanceof Response || reply instanceof Promise) return reply;
    return new Promise((_resolve, reject) => {
      // Some network stacks do not notice that they were told to give up.
      if (reply === 'hang') init?.signal?.addEventListener('abort', () => reject(new Error('aborted')));
    });
  };

  count(path: string): number {
    return this.sent.filter((request) => request.path === path).length;
  }

  get last(): SentRequest {
    const request = this.sent.at(-1);
    if (request === undefined) throw new Error('nothing was sent');
    return request;
  }

  #answer(path: string): Response {
    this.#serial++;
    if (path === 'ticket') return Response.json({ ticket: `hft_${this.#serial}`, expires_at: 0 });
    if (path === 'me') return Response.json({ login_id: this.loginId, principal: 'alice' });
    if (path === 'upstream') return Response.json({ access_token: 'up', token_type: 'Bearer' });
    if (path === 'logout') return new Response(null, { status: 204 });
    return Response.json({
      login_id: this.loginId,
      principal: 'alice',
      access_token: accessToken(this.#serial, this.loginId),
      expires_at: 4_000_000_300_000,
      max_expires_at: 4_100_000_000_000,
      ...(this.refreshTokens && { refresh_token: `hfr1.${this.#serial}` }),
    });
  }
}

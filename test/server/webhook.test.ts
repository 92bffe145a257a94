import { createHmac, randomBytes } from 'node:crypto';
import type { RequestListener } from 'node:http';
import express, { type ErrorRequestHandler } from 'express';
import { afterEach, describe, expect, it } from 'vitest';
import { HoldfastError, verifyWebhook, type WebhookReceiverOptions, webhookReceiver } from '../../src/server/index.js';
import { TestServer } from './fake-gateway.js';

const [SECRET, OTHER] = [newSecret(), newSecret()];
const EVENT = { type: 'session.owned', session_id: 's:1', owner_epoch: 5 };
const MESSAGE = { type: 'message', session_id: 's:1', principal: 'alice', data: 'hi' };

function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

/** Signed by the specification's own words, not by the code under test. */
function signed(body: string, { id = 'evt_1', secrets = [SECRET], agoS = 0 } = {}): Record<string, string> {
  const timestamp = String(Math.floor(Date.now() / 1_000) - agoS);
  const signature = secrets.map((secret) => {
    const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
    return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
  });
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature.join(' ') };
}

describe('a webhook', () => {
  const body = JSON.stringify(EVENT);

  it('is known by its signature, with any of the secrets, from Node’s headers and from those of fetch', () => {
    const headers = signed(body, { secrets: [OTHER, SECRET] });
    expect(verifyWebhook(headers, body, SECRET)).toEqual({ ...EVENT, id: 'evt_1' });
    expect(verifyWebhook(new Headers(headers), Buffer.from(body), [newSecret(), OTHER])).toEqual({
      ...EVENT,
      id: 'evt_1',
    });
  });

  it.each<[string, () => unknown]>([
    ['another secret', () => verifyWebhook(signed(body), body, OTHER)],
    ['another body', () => verifyWebhook(signed(body), `${body} `, SECRET)],
    ['another id', () => verifyWebhook({ ...signed(body), 'webhook-id': 'evt_2' }, body, SECRET)],
    ['no headers', () => verifyWebhook({}, body, SECRET)],
    ['an old signature', () => verifyWebhook(signed(body, { agoS: 310 }), body, SECRET)],
    ['one from the future', () => verifyWebhook(signed(body, { agoS: -310 }), body, SECRET)],
  ])('is refused for %s', (_name, verify) => {
    expect(verify).toThrow(HoldfastError);
    expect(verify).toThrow(expect.objectContaining({ code: 'invalid_credential' }));
  });

  it.each(['', '[]', '{}', 'null', 'hello'])('that is signed and says %j is none', (text) => {
    expect(() => verifyWebhook(signed(text), text, SECRET)).toThrow(
      expect.objectContaining({ code: 'malformed_frame' }),
    );
  });

  it('needs a secret, which no error shows', () => {
    for (const secrets of [[], 'secret-text', ['whsec_c2hvcnQ=']]) {
      expect(() => verifyWebhook(signed(body), body, secrets)).toThrow(/^(?!.*(secret-text|c2hvcnQ))/);
      expect(() => verifyWebhook(signed(body), body, secrets)).toThrow(TypeError);
    }
  });
});

describe('the receiver', () => {
  let server: TestServer | undefined;

  afterEach(() => server?.stop());

  async function serve(options: Partial<WebhookReceiverOptions>, wrap?: (it: RequestListener) => RequestListener) {
    const receiver = webhookReceiver({ secrets: SECRET, ...options });
    server = await TestServer.start(wrap === undefined ? receiver : wrap(receiver));
  }

  async function post(said: object, options?: Parameters<typeof signed>[1]): Promise<Response> {
    const body = JSON.stringify(said);
    return fetch(server?.url ?? '', { method: 'POST', headers: signed(body, options), body });
  }

  it('answers each kind with what its handler says', async () => {
    const seen: unknown[] = [];
    await serve({
      authorize: ({ principal }) => ({ allow: principal === 'alice' ? ['watch', 'own'] : [], ttl_ms: 1_000 }),
      message: (request) => ('data' in request ? { accept: true, data: [request.data] } : { accept: false }),
      event: (event) => void seen.push(event),
    });
    const authorized = await post({ type: 'authorize', session_id: 's:1', principal: 'alice' }, { id: 'a' });
    expect([authorized.status, await authorized.json()]).toEqual([200, { allow: ['watch', 'own'], ttl_ms: 1_000 }]);
    const judged = await post(MESSAGE, { id: 'b' });
    expect([judged.status, await judged.json()]).toEqual([200, { accept: true, data: ['hi'] }]);
    const told = await post(EVENT, { id: 'c' });
    expect([told.status, await told.text()]).toEqual([204, '']);
    expect(seen).toEqual([{ ...EVENT, id: 'c' }]);
  });

  it('calls no handler for what is not signed, not POST or too large', async () => {
    let calls = 0;
    await serve({ event: () => void calls++ });
    const forged = await post(EVENT, { secrets: [OTHER] });
    expect([forged.status, await forged.json()]).toMatchObject([401, { code: 'invalid_credential' }]);
    expect((await fetch(server?.url ?? '')).status).toBe(405);
    expect((await post({ ...EVENT, more: 'x'.repeat(4 * 1_024 * 1_024) })).status).toBe(413);
    expect(calls).toBe(0);
  });

  it('answers what comes again without a second call, also while the first one runs', async () => {
    let calls = 0;
    let finish = () => {};
    const until = new Promise<void>((resolve) => (finish = resolve));
    await serve({
      message: async () => {
        calls++;
        await until;
        return { accept: true, data: calls };
      },
    });
    const both = [post(MESSAGE), post(MESSAGE)];
    await expect.poll(() => calls).toBe(1);
    finish();
    for (const answer of await Promise.all(both)) expect(await answer.json()).toEqual({ accept: true, data: 1 });
    expect(await (await post(MESSAGE, { agoS: 60 })).json()).toEqual({ accept: true, data: 1 });
    expect(await (await post(MESSAGE, { id: 'evt_2' })).json()).toEqual({ accept: true, data: 2 });
  });

  it('passes repeats on where it is told to', async () => {
    let calls = 0;
    await serve({ repeats: 'pass_on', event: () => void calls++ });
    await post(EVENT);
    await post(EVENT);
    expect(calls).toBe(2);
  });

  it('answers 500 while a handler fails, and calls it again for the repeat', async () => {
    let calls = 0;
    await serve({
      event: () => {
        if (++calls === 1) throw new Error('the database at 10.0.0.1 is away');
      },
    });
    const failed = await post(EVENT);
    expect(failed.status).toBe(500);
    expect(await failed.text()).not.toContain('10.0.0.1');
    expect((await post(EVENT)).status).toBe(204);
  });

  it('says so when nothing handles the kind', async () => {
    await serve({});
    expect((await post(EVENT)).status).toBe(404);
  });

  it.each([
    ['before parsers', undefined, 204],
    ['after express.raw', express.raw({ type: () => true }), 204],
    ['after express.json', express.json({ type: () => true }), 500],
  ])('in express, %s', async (_name, parser, status) => {
    const errors: unknown[] = [];
    await serve({ event: () => {} }, (receiver) => {
      const onError: ErrorRequestHandler = (error, _request, response, _next) => {
        errors.push(error);
        response.sendStatus(500);
      };
      const app = express();
      if (parser !== undefined) app.use(parser);
      return app.post('/', receiver).use(onError) as RequestListener;
    });
    expect((await post(EVENT)).status).toBe(status);
    expect(errors).toHaveLength(status === 500 ? 1 : 0);
  });
});

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type AuthorizeRequest,
  type MessageRequest,
  type WebhookEvent,
  type WebhookReceiverOptions,
  webhookReceiver,
} from '../../src/server/index.js';
import { type GatewayProcess, startGateway } from '../support/gateway-process.js';
import { RawClient } from '../support/raw-client.js';
import { testRedis } from '../support/redis.js';
import { TestServer } from './fake-gateway.js';

const SECRET = `whsec_${randomBytes(32).toString('base64')}`;
const asked: (AuthorizeRequest | MessageRequest)[] = [];
const events: WebhookEvent[] = [];
let failures = 1;

const handlers: WebhookReceiverOptions = {
  secrets: ['whsec_b2xkIHNlY3JldCB0aGF0IGlzIGdvaW5nIGF3YXk=', SECRET],
  authorize: (request) => {
    asked.push(request);
    return { allow: request.session_id === 'chat:no' ? [] : ['watch', 'own', 'send', 'signal'] };
  },
  message: (request) => {
    asked.push(request);
    return request.data === 'bad'
      ? { accept: false, reason: 'Not here' }
      : { accept: true, data: { said: request.data } };
  },
  event: (event) => {
    if (failures-- > 0) throw new Error('away');
    events.push(event);
  },
};

let application: TestServer;
let gateway: GatewayProcess;

beforeAll(async () => {
  application = await TestServer.start(webhookReceiver(handlers));
  const { url: redisUrl, prefix: redisPrefix } = testRedis();
  const urls = ['--authorize-url', '--message-url', '--events-url'].flatMap((flag) => [flag, application.url]);
  const [args, env] = [['--access', 'rules', ...urls], { HOLDFAST_HOOK_SECRET: SECRET }];
  gateway = await startGateway({ nodeId: 'n1', redisUrl, redisPrefix, graceMs: 1_000, args, env });
});

afterAll(async () => {
  await gateway?.stop();
  await application?.stop();
});

it('the receiver and a gateway understand each other', async () => {
  const client = await RawClient.connect(gateway.connectUrl);
  const { principal, connection_id } = client.welcome;
  const from = { principal, connection_id };
  client.send({ type: 'subscribe', session_id: 'chat:no' });
  expect(await client.next('error')).toMatchObject({ code: 'forbidden' });
  client.send({ type: 'subscribe', session_id: 'chat:1' });
  expect(await client.next('subscribe_ack')).toMatchObject({ owner: true });
  client.send({ type: 'send', session_id: 'chat:1', data: 'good' });
  expect(await client.next('message')).toMatchObject({ offset: 1, data: { said: 'good' } });
  client.send({ type: 'send', session_id: 'chat:1', data: 'bad' });
  expect(await client.next('error')).toMatchObject({ code: 'message_rejected', message: 'Not here' });
  client.send({ type: 'signal', session_id: 'chat:1', data: 'stop' });
  await client.next('signal_ack');
  client.send({ type: 'release', session_id: 'chat:1' });
  await client.next('release_ack');

  const of = { ...from, session_id: 'chat:1', id: expect.any(String) as string };
  expect(asked).toMatchObject([
    { type: 'authorize', ...from, session_id: 'chat:no' },
    { type: 'authorize', ...of },
    { type: 'message', ...of, data: 'good', owner_epoch: expect.any(Number) as number },
    { type: 'message', ...of, data: 'bad' },
  ]);
  await expect.poll(() => events.length, { timeout: 10_000 }).toBe(3);
  expect(events).toMatchObject([
    { type: 'session.owned', session_id: 'chat:1', namespace: 'chat', reason: 'claimed', connection_id, principal },
    { type: 'session.signal', ...of, namespace: 'chat', data: 'stop' },
    { type: 'session.released', session_id: 'chat:1', reason: 'released', connection_id },
  ]);
  expect(events.every(({ id, at }) => id !== '' && Math.abs(at - Date.now()) < 60_000)).toBe(true);
  expect(failures).toBeLessThan(0);
  await client.close();
});

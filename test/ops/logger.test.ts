import { describe, expect, it } from 'vitest';
import { createLogger } from '../../src/ops/logger.js';

const UUID = '0f8fad5b-d9cb-469f-a165-70867728950e';
const MAC = 'q83vEjRWeJCrze8SNFZ4kA';
const RANDOM = 'q83vEjRWeJCrze8SNFZ4kBI0VniQq83vEjRWeJCrze8';
const REFRESH_TOKEN = `hfr1.k1.${RANDOM}.7.${RANDOM}.${RANDOM}`;
const SEALED = `k1.q83vEjRWeJCrze8S.${RANDOM}${RANDOM}`;
const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ';

function logged(write: (log: ReturnType<typeof createLogger>) => void): Record<string, unknown> {
  let line = '';
  write(createLogger({ nodeId: 'n1', level: 'debug', destination: { write: (text: string) => void (line += text) } }));
  return JSON.parse(line) as Record<string, unknown>;
}

const fieldOf = (value: unknown) => logged((log) => log.info({ field: value }, 'event'))['field'];

it('writes one line of JSON an event', () => {
  expect(logged((log) => log.warn({ connection: 'c_1', code: 4103, duration_ms: 5 }, 'connection closed'))).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-.*Z$/),
    node: 'n1',
    connection: 'c_1',
    code: 4103,
    duration_ms: 5,
    msg: 'connection closed',
  });
});

describe('what looks like a secret is taken out', () => {
  it.each<[unknown, unknown]>([
    [JWT, '[redacted]'],
    [`Unexpected token in "${JWT.slice(0, 30)}`, 'Unexpected token in "[redacted]'],
    [`lost ${UUID}.${MAC}!`, 'lost [redacted]!'],
    ['Authorization: Bearer abc.def', 'Authorization: Bearer [redacted]'],
    [`lost ${REFRESH_TOKEN}`, 'lost [redacted]'],
    [`lost ${REFRESH_TOKEN.slice(0, 60)}`, 'lost [redacted]'],
    [`hft_${RANDOM}, hfc_${RANDOM.slice(0, 20)}`, '[redacted], [redacted]'],
    [`%3Dhft_${RANDOM} %22${JWT}`, '%3D[redacted] %22[redacted]'],
    ['holdfast.v1, holdfast.ticket.abc', 'holdfast.v1, holdfast.ticket.[redacted]'],
    ['?ticket=abc', '?ticket=[redacted]'],
    [`HSET secret ${SEALED} 3`, 'HSET secret [redacted] 3'],
    [
      'POST refresh_token=a%2Fb&client_id=x&client_secret=c',
      'POST refresh_token=[redacted]&client_id=x&client_secret=[redacted]',
    ],
    ['got {"access_token":"abc","expires_in":5}', 'got {"access_token":"[redacted]","expires_in":5}'],
    [
      { client_secret: 'a', clientSecret: 'b', login_code: 'c', 'set-cookie': 'd', sealedAccess: 'e', ticket: 'f' },
      {
        client_secret: '[redacted]',
        clientSecret: '[redacted]',
        login_code: '[redacted]',
        'set-cookie': '[redacted]',
        sealedAccess: '[redacted]',
        ticket: '[redacted]',
      },
    ],
    ['redis://user:pa55@redis:6379/0', 'redis://[redacted]@redis:6379/0'],
    ['GET /v1/connect?token=abc HTTP/1.1', 'GET /v1/connect?[redacted] HTTP/1.1'],
    ['wss://h/v1/connect?a=1&b=2', 'wss://h/v1/connect?[redacted]'],
    ['/v1/connect?a=1', '/v1/connect?[redacted]'],
    [
      { deep: [{ reconnect_token: 'abc', attempt_id: 'd"e' }] },
      { deep: [{ reconnect_token: '[redacted]', attempt_id: '[redacted]' }] },
    ],
    [
      { headers: { authorization: 'x', Cookie: 'y' } },
      { headers: { authorization: '[redacted]', Cookie: '[redacted]' } },
    ],
  ])('%j', (value, censored) => {
    expect(fieldOf(value)).toEqual(censored);
  });

  it.each<unknown>([
    UUID,
    `anon:${UUID}`,
    'c_AAAAAAAAAAAAAAAAAAAA',
    'why? because',
    `sha256:v1:${'0f'.repeat(32)}`,
    `login_${RANDOM}`,
    'shift_register, at Object.send (file.js:1:2)',
    'http://h/path',
    { token_status: 'expired', owner_epoch: 1 },
  ])('%j stays', (value) => {
    expect(fieldOf(value)).toEqual(value);
  });

  it('in the message, in keys, and in errors with their causes', () => {
    const cause = Object.assign(new Error(`refused ${JWT}`), { code: 'E_CAUSE', command: { args: ['raw-argument'] } });
    const error = new Error(`failed for ${UUID}.${MAC}`, { cause });
    const line = logged((log) => log.error({ error, err: cause, [JWT]: 1 }, `sent ${JWT}`));
    expect(line).toMatchObject({
      msg: 'sent [redacted]',
      error: { message: 'failed for [redacted]', cause: { code: 'E_CAUSE', message: 'refused [redacted]' } },
      err: { code: 'E_CAUSE' },
    });
    const text = JSON.stringify(line);
    for (const secret of [JWT, MAC, 'raw-argument']) expect(text).not.toContain(secret);
  });
});

it('survives causes that go in circles', () => {
  const error = new Error('a');
  error.cause = error;
  expect(logged((log) => log.error({ error }, 'event'))['error']).toMatchObject({ message: 'a' });
});

it('censors a long line in a moment', () => {
  const started = performance.now();
  for (const text of [
    'eyJ'.repeat(30_000),
    '"'.repeat(50_000),
    'a'.repeat(90_000),
    '/?'.repeat(40_000),
    '://'.repeat(30_000),
    'hfr1.'.repeat(20_000),
    'secret'.repeat(15_000),
    'a-'.repeat(45_000),
    `${'a'.repeat(16)}.`.repeat(5_000),
    '\\"'.repeat(20_000),
  ]) {
    fieldOf(text);
  }
  expect(performance.now() - started).toBeLessThan(2_000);
});

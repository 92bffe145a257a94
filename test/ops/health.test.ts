import { describe, expect, it, onTestFinished } from 'vitest';
import { adminKey } from '../../src/ops/admin.js';
import { createInternalServer, type InternalServerOptions } from '../../src/ops/health.js';
import { LoadMonitor, maxRssBytesOf } from '../../src/ops/load.js';

const KEY = 'an-admin-key-of-at-least-32-characters';
const bearer = (key: string) => ({ method: 'POST', headers: { authorization: `Bearer ${key}` } });

async function start(overrides: Partial<InternalServerOptions> = {}) {
  const commands: string[] = [];
  const server = createInternalServer({
    host: '127.0.0.1',
    port: 0,
    readiness: () => ({ reasons: [], degraded: [] }),
    status: () => ({ node: 'n1', commands: commands.length }),
    metrics: { contentType: 'text/plain; version=0.0.4', render: async () => 'up 1\n' },
    admin: {
      key: adminKey(KEY),
      drain: () => void commands.push('drain'),
      undrain: () => void commands.push('undrain'),
    },
    ...overrides,
  });
  const { port } = await server.listen();
  onTestFinished(() => server.close());
  const get = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init);
  return { get, commands };
}

describe('the internal port', () => {
  it('says why the node is not ready, and that it lives all the same', async () => {
    const readiness = { reasons: [] as string[], degraded: [] as string[] };
    const { get } = await start({ readiness: () => readiness });
    const ready = await get('/readyz');
    expect([ready.status, await ready.json()]).toEqual([200, { status: 'ready', reasons: [], degraded: [] }]);
    readiness.degraded.push('store_unreachable');
    const degraded = await get('/readyz');
    expect([degraded.status, await degraded.json()]).toEqual([
      200,
      { status: 'ready', reasons: [], degraded: ['store_unreachable'] },
    ]);
    readiness.reasons.push('draining');
    const refused = await get('/readyz?verbose');
    expect([refused.status, await refused.json()]).toMatchObject([503, { status: 'not_ready', reasons: ['draining'] }]);
    expect((await get('/livez')).status).toBe(200);
  });

  it('says so when nothing runs for which it could answer', async () => {
    let live = true;
    const { get } = await start({ live: () => live });
    expect((await get('/livez')).status).toBe(200);
    live = false;
    expect((await get('/livez')).status).toBe(503);
  });

  it('serves metrics and the status, and nothing else', async () => {
    const { get } = await start();
    const metrics = await get('/metrics');
    expect(metrics.headers.get('content-type')).toBe('text/plain; version=0.0.4');
    expect(await metrics.text()).toBe('up 1\n');
    expect(await (await get('/statusz')).json()).toEqual({ node: 'n1', commands: 0 });
    expect((await get('/')).status).toBe(404);
    expect((await get('/constructor')).status).toBe(404);
    expect((await get('/metrics', { method: 'POST' })).status).toBe(405);
    expect((await get('/drain')).headers.get('allow')).toBe('POST');
  });

  it('answers what fails with an error that tells nothing', async () => {
    const { get } = await start({
      readiness: () => {
        throw new Error('secret');
      },
    });
    const response = await get('/readyz');
    expect([response.status, await response.text()]).toEqual([500, 'Failed\n']);
  });

  it('drains and undrains for who has the admin key', async () => {
    const { get, commands } = await start();
    expect((await get('/drain', bearer(KEY))).status).toBe(202);
    expect(await (await get('/undrain', bearer(KEY))).json()).toMatchObject({ commands: 2 });
    expect(commands).toEqual(['drain', 'undrain']);
  });

  it.each([
    ['without a key', { method: 'POST' }, 401],
    ['with another key', bearer(`${KEY}x`), 401],
    ['with a part of it', bearer(KEY.slice(0, -1)), 401],
    ['from a web page', { method: 'POST', headers: { ...bearer(KEY).headers, origin: 'http://127.0.0.1' } }, 403],
  ])('changes nothing %s', async (_case, init, status) => {
    const { get, commands } = await start();
    for (const path of ['/drain', '/undrain']) expect((await get(path, init)).status).toBe(status);
    expect(commands).toEqual([]);
  });

  it('changes nothing for anybody where no admin key is set, and says how to set one', async () => {
    const admin = { drain: () => expect.fail('drained'), undrain: () => expect.fail('undrained') };
    const { get } = await start({ admin });
    for (const init of [{ method: 'POST' }, bearer(''), bearer('undefined')]) {
      const response = await get('/drain', init);
      expect([response.status, await response.text()]).toEqual([403, expect.stringContaining('HOLDFAST_ADMIN_KEY')]);
    }
  });
});

describe('load', () => {
  it('notices an event loop that is full, and that it is free again', async () => {
    const load = new LoadMonitor({ maxEventLoopDelayMs: 20, maxRssBytes: 0 });
    onTestFinished(() => load.stop());
    const busy = setInterval(() => {
      const until = performance.now() + 80;
      while (performance.now() < until);
    }, 1);
    await expect.poll(() => load.overloaded(), { timeout: 5_000 }).toBe(true);
    clearInterval(busy);
    await expect.poll(() => load.overloaded(), { timeout: 5_000 }).toBe(false);
  });

  it('notices that memory is nearly used up', () => {
    const { rss } = process.memoryUsage();
    const full = new LoadMonitor({ maxEventLoopDelayMs: 1_000, maxRssBytes: rss / 2 });
    const roomy = new LoadMonitor({ maxEventLoopDelayMs: 1_000, maxRssBytes: rss * 4 });
    onTestFinished(() => [full, roomy].forEach((load) => load.stop()));
    expect([full.overloaded(), roomy.overloaded()]).toEqual([true, false]);
    expect(full.report().rss_bytes).toBeGreaterThan(rss / 2);
  });

  it('leaves a tenth of what a container may have, among all processes in it', () => {
    expect(maxRssBytesOf(0, 1, 1_000, 5_000)).toBe(900);
    expect(maxRssBytesOf(0, 3, 1_000, 5_000)).toBe(300);
    expect(maxRssBytesOf(700, 3, 1_000, 5_000)).toBe(700);
    // What the kernel says where there is no limit.
    for (const none of [0, 2 ** 64]) expect(maxRssBytesOf(0, 1, none, 5_000)).toBe(0);
  });
});

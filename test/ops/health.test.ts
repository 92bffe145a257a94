import { describe, expect, it, onTestFinished } from 'vitest';
import { createInternalServer } from '../../src/ops/health.js';
import { LoadMonitor } from '../../src/ops/load.js';

async function start(checks: Record<string, () => boolean>) {
  const metrics = { contentType: 'text/plain; version=0.0.4', render: async () => 'up 1\n' };
  const server = createInternalServer({ host: '127.0.0.1', port: 0, checks, metrics });
  const { port } = await server.listen();
  onTestFinished(() => server.close());
  return (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init);
}

describe('the internal port', () => {
  it('says why the node is not ready, and that it lives all the same', async () => {
    let away = false;
    const get = await start({ draining: () => false, redis_unreachable: () => away });
    const ready = await get('/readyz');
    expect([ready.status, await ready.json()]).toEqual([200, { status: 'ready', reasons: [] }]);
    away = true;
    const refused = await get('/readyz?verbose');
    expect([refused.status, await refused.json()]).toEqual([
      503,
      { status: 'not_ready', reasons: ['redis_unreachable'] },
    ]);
    expect((await get('/livez')).status).toBe(200);
  });

  it('serves metrics, and nothing else', async () => {
    const get = await start({});
    const metrics = await get('/metrics');
    expect(metrics.headers.get('content-type')).toBe('text/plain; version=0.0.4');
    expect(await metrics.text()).toBe('up 1\n');
    expect((await get('/')).status).toBe(404);
    expect((await get('/constructor')).status).toBe(404);
    expect((await get('/metrics', { method: 'POST' })).status).toBe(405);
  });

  it('answers a failing check with an error', async () => {
    const get = await start({
      broken: () => {
        throw new Error('secret');
      },
    });
    const response = await get('/readyz');
    expect([response.status, await response.text()]).toEqual([500, 'Failed\n']);
  });
});

it('notices an event loop that is full, and that it is free again', async () => {
  const load = new LoadMonitor(20);
  onTestFinished(() => load.stop());
  const busy = setInterval(() => {
    const until = performance.now() + 80;
    while (performance.now() < until);
  }, 1);
  await expect.poll(() => load.overloaded(), { timeout: 5_000 }).toBe(true);
  clearInterval(busy);
  await expect.poll(() => load.overloaded(), { timeout: 5_000 }).toBe(false);
});

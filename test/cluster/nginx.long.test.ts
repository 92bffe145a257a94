import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkNginxConfig, missingNginx, NGINX_CONFIG, type Nginx, nginxConfig, startNginx } from '../support/nginx.js';
import { statusOfferingHttp2 } from './offering-http2.js';
import { newSession, own, useCluster } from './use-cluster.js';

const noNginx = await missingNginx();

/** A test's name, with the reason when it has to be skipped. */
const withNginx = (name: string) => (noNginx === undefined ? name : `${name} (skipped: ${noNginx})`);

const DRAIN_MS = 4_000;
const ARRIVALS = 200;

describe('deploy/nginx/nginx.conf', () => {
  const cluster = useCluster({ args: ['--drain-ms', `${DRAIN_MS}`] });
  let nginx: Nginx | undefined;

  beforeAll(async () => {
    if (noNginx === undefined) nginx = await startNginx(cluster().nodes.map(({ port }) => port));
  });
  afterAll(() => nginx?.stop());

  const connect = () => cluster().connect({ url: nginx?.connectUrl ?? '' });

  test.skipIf(noNginx)(withNginx('is valid, as it is and with other addresses'), async () => {
    for (const text of [await readFile(NGINX_CONFIG, 'utf8'), await nginxConfig(20_000, [20_001, 20_002])]) {
      expect(await checkNginxConfig(text)).toMatch(/test is successful/);
    }
  });

  test('keeps everything but the addresses when it is started for a cluster', async () => {
    const config = await nginxConfig(20_000, [20_001, 20_002]);
    expect(config.match(/^\s+(server \d.*|listen .*)$/gm)?.map((line) => line.trim())).toEqual([
      'server 127.0.0.1:20001 max_fails=3 fail_timeout=5s;',
      'server 127.0.0.1:20002 max_fails=3 fail_timeout=5s;',
      'listen 127.0.0.1:20000 backlog=4096;',
    ]);
  });

  test.skipIf(noNginx)(withNginx('an HTTP call that offers HTTP/2 is answered as one that does not'), async () => {
    const url = new URL('/holdfast.js', nginx?.connectUrl.replace('ws:', 'http:'));
    expect(await statusOfferingHttp2(url.href)).toBe(200);
  });

  test.skipIf(noNginx)(
    withNginx('200 of 200 new connections succeed while a node drains, and open ones stay until they are closed'),
    async () => {
      let owner = await connect();
      while (cluster().servedBy(owner) !== cluster().node(0)) owner = await connect();
      await own(owner, newSession());
      // It never answers the closing handshake, and so keeps the drain going.
      (await cluster().connect(0)).stopReading();
      const exit = cluster().node(0).terminate();
      await expect.poll(() => cluster().node(0).isReady()).toBe(false);
      const arrivals = await Promise.all(
        Array.from({ length: ARRIVALS }, async (_, i) => {
          await sleep(i * 10);
          return connect();
        }),
      );
      expect(arrivals).toHaveLength(ARRIVALS);
      expect(arrivals.filter((one) => one.welcome.node === cluster().node(0).nodeId)).toEqual([]);
      expect(await owner.whenClosed).toMatchObject({ code: 1012 });
      expect(await exit).toEqual({ code: 0, signal: null });
    },
  );
});

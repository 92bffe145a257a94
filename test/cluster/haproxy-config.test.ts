import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkHaproxyConfig, HAPROXY_CONFIG, haproxyConfig } from '../support/haproxy.js';
import { noHaproxy, withHaproxy } from './use-cluster.js';

const BACKENDS = [
  { name: 'n1', port: 20_001, internalPort: 20_101 },
  { name: 'n2', port: 20_002, internalPort: 20_102 },
];

describe('deploy/haproxy/haproxy.cfg', () => {
  test.skipIf(noHaproxy)(withHaproxy('is valid without a warning'), async () => {
    expect(await checkHaproxyConfig(HAPROXY_CONFIG)).not.toMatch(/WARNING|ALERT/);
  });

  test.skipIf(noHaproxy)(withHaproxy('is valid with other addresses in it'), async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-haproxy-'));
    try {
      const file = join(folder, 'haproxy.cfg');
      await writeFile(file, await haproxyConfig(20_000, BACKENDS, 20_200));
      expect(await checkHaproxyConfig(file)).not.toMatch(/WARNING|ALERT/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('keeps everything but the addresses when it is started for a cluster', async () => {
    const config = await haproxyConfig(20_000, BACKENDS);
    expect(config).toContain('  bind 127.0.0.1:20000\n');
    expect(config.match(/^ {2}server .*$/gm)).toEqual([
      '  server n1 127.0.0.1:20001 check port 20101',
      '  server n2 127.0.0.1:20002 check port 20102',
    ]);
    expect(config).toContain('retry-on 503 conn-failure empty-response');
    expect(config).not.toMatch(/^[^#]*shutdown-sessions/m);
  });
});

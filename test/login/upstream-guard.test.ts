import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { type NoAnswerError, send } from '../../src/login/upstream-fetch.js';
import { isAllowedAddress } from '../../src/login/upstream-guard.js';

const FORBIDDEN = [
  '0.0.0.0 10.1.2.3 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255',
  '192.0.0.1 192.0.2.1 192.168.0.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255',
  ':: ::1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::8.8.8.8 64:ff9b::8.8.8.8 64:ff9b:1::1 100::1 2001::1 2001:db8::1',
  '2002:7f00:1:: 3fff::1 fc00::1 fd12::1 fe80::1 fec0::1 ff02::1 localhost 8.8.8.8. 1 0x7f000001',
].flatMap((line) => line.split(' '));

describe('an address', () => {
  test.each(FORBIDDEN)('%s is not allowed', (address) => {
    expect(isAllowedAddress(address, false)).toBe(false);
  });

  test.each(['8.8.8.8', '100.63.255.255', '100.128.0.1', '172.15.0.1', '172.32.0.1', '2606:4700::1111', '2a00::1'])(
    '%s is allowed',
    (address) => {
      expect(isAllowedAddress(address, false)).toBe(true);
    },
  );

  test('of this machine is allowed for development, and no other private one', () => {
    const allowed = FORBIDDEN.filter((address) => isAllowedAddress(address, true));
    expect(allowed).toEqual(['127.0.0.1', '127.255.255.254', '::1']);
  });
});

const post = (url: string, allowLoopback: boolean, timeoutMs = 2_000): Promise<Response> =>
  send(new URL(url), { method: 'POST', headers: {}, body: 'x', timeoutMs, allowLoopback });
const faultOf = async (sending: Promise<Response>): Promise<NoAnswerError> => {
  const result = await sending.then(
    () => undefined,
    (error: unknown) => error,
  );
  return result as NoAnswerError;
};

describe('a request', () => {
  test('to a name or number of this machine or its network goes nowhere', async () => {
    let connections = 0;
    const server = createServer((_request, response) => response.end()).listen(0, '127.0.0.1');
    server.on('connection', () => {
      connections += 1;
    });
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    for (const host of ['localhost', '127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '0x7f.1', '0.0.0.0']) {
      const fault = await faultOf(post(`http://${host}:${port}/`, false));
      expect(fault, host).toMatchObject({ notSent: true, forbidden: true });
    }
    expect(connections).toBe(0);
    expect((await post(`http://localhost:${port}/`, true)).status).toBe(200);
    server.close();
  });

  test('that finds nobody was not sent', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    const refused = await faultOf(post(`http://127.0.0.1:${port}/`, true));
    expect(refused).toMatchObject({ notSent: true, forbidden: false, message: 'ECONNREFUSED' });
    const unknown = await faultOf(post('http://no-such-host.invalid/', true));
    expect(unknown).toMatchObject({ notSent: true, forbidden: false });
  });

  test('with TLS to one that speaks none was not sent', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    expect(await faultOf(post(`https://127.0.0.1:${port}/`, true))).toMatchObject({ notSent: true });
    server.close();
  });

  test('that is not answered, or only begun to be, ends in time and may have been sent', async () => {
    for (const begun of [false, true]) {
      const server = createServer((_request, response) => {
        if (begun) response.write('{');
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const startMs = performance.now();
      const fault = await faultOf(post(`http://127.0.0.1:${port}/`, true, 200));
      expect(fault).toMatchObject({ notSent: false, message: 'no answer in time' });
      expect(performance.now() - startMs).toBeLessThan(1_000);
      server.closeAllConnections();
      server.close();
    }
  });
});

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { HoldfastError } from '../../src/protocol/errors.js';
import { pageListener } from '../../src/transport/page.js';
import type { PlaygroundOptions } from '../../src/transport/routes/playground.js';
import { silent } from '../support/silent.js';

const LOGIN_ID = 'login_of-alice_0123456789_0123456789';

async function playground(options: Omit<PlaygroundOptions, 'origins'>) {
  const origins = { allowed: [], allowLoopback: true };
  const server = createServer(pageListener({ ...options, origins, page: [], log: silent }));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return async (path: string, method = 'POST', { origin = `http://127.0.0.1:${port}`, body = {} } = {}) => {
    const headers = { Origin: origin, 'Content-Type': 'application/json' };
    const content = method === 'POST' ? { body: JSON.stringify(body) } : {};
    const response = await fetch(`http://127.0.0.1:${port}/playground/${path}`, { method, headers, ...content });
    const text = await response.text();
    return { status: response.status, answer: text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>) };
  };
}

it('logs in whoever says a name, for the page that asks, and ends the login', async () => {
  const calls: unknown[] = [];
  const ask = await playground({
    logins: {
      create: async (login) => {
        calls.push(login);
        return { login_code: 'code' };
      },
      revoke: async (id) => void calls.push(id),
    },
  });
  const origin = 'http://localhost:1234';
  expect(await ask('logins', 'POST', { origin, body: { name: 'alice' } })).toEqual({
    status: 201,
    answer: { login_code: 'code' },
  });
  expect(await ask(`logins/${LOGIN_ID}/end`)).toEqual({ status: 204, answer: undefined });
  const rights = [{ sessions: '*', allow: ['watch', 'own', 'send', 'signal', 'force'] }];
  expect(calls).toEqual([{ principal: 'alice', rights, origin }, LOGIN_ID]);
  expect(await ask('logins', 'POST', { body: { name: '<b>' } })).toMatchObject({ status: 400 });
  expect(await ask('logins', 'GET')).toMatchObject({ status: 405 });
});

it('kills a node where that is possible', async () => {
  const killed: string[] = [];
  const ask = await playground({
    async killNode(nodeId) {
      if (nodeId !== 'n1') throw new HoldfastError('not_found', `There is no node ${nodeId}`);
      killed.push(nodeId);
    },
  });
  expect(await ask('capabilities', 'GET')).toEqual({ status: 200, answer: { logins: false, kill_node: true } });
  expect(await ask('nodes/n1/kill')).toMatchObject({ status: 204 });
  expect(await ask('nodes/n9/kill')).toMatchObject({ status: 404, answer: { code: 'not_found' } });
  expect(killed).toEqual(['n1']);
});

it('has nothing for pages from elsewhere, and nothing that it was not given', async () => {
  const killed: string[] = [];
  const ask = await playground({ killNode: async (nodeId) => void killed.push(nodeId) });
  expect(await ask('nodes/n1/kill', 'POST', { origin: 'https://evil.example' })).toMatchObject({
    status: 403,
    answer: { code: 'origin_not_allowed' },
  });
  expect(killed).toEqual([]);
  expect(await ask('logins', 'POST', { body: { name: 'alice' } })).toMatchObject({ status: 404 });
  expect(await (await playground({}))('nodes/n1/kill')).toMatchObject({ status: 404 });
});

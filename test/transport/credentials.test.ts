import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/lib/clock.js';
import type { Log } from '../../src/lib/log.js';
import { principalHandle } from '../../src/login/handles.js';
import type { LoginEndReason } from '../../src/login/ports.js';
import { fakeAuthentication } from './fake-logins.js';
import {
  Client,
  connected,
  newGate,
  QUIET,
  rawSocket,
  refusedUpgrade,
  startGateway,
  until,
  upgradeHead,
} from './gateway.js';

const ORIGIN = 'https://app.example.com';
const PAGE = { headers: { origin: ORIGIN } };
const TICKET = 'hft_ticket';

/** A gateway that alice can enter with `TICKET` from a page, or with the bearer token `token`. */
async function start(changes: { ticketInUrl?: boolean; anonymous?: boolean; log?: Log } = {}) {
  const { log = QUIET, ...settings } = changes;
  const fakes = await fakeAuthentication(systemClock, settings);
  onTestFinished(() => fakes.live.stop());
  const principal = fakes.logins.create('a');
  fakes.logins.tickets.set(TICKET, { principal, origin: ORIGIN });
  fakes.logins.bearers.set('token', principal);
  return { ...fakes, ...(await startGateway({ authentication: fakes.authentication, log })) };
}

const offering = (port: number, ticket: string, options: object = PAGE) =>
  new Client(port, options, ['holdfast.v1', `holdfast.ticket.${ticket}`]);
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

describe('a ticket', () => {
  it('lets its login in', async () => {
    const { port } = await start();
    const client = offering(port, TICKET);
    expect(await client.next()).toMatchObject({
      type: 'welcome',
      principal: 'alice',
      features: ['messages', 'renew_login'],
    });
    expect(client.socket.protocol).toBe('holdfast.v1');
  });

  it('is never echoed, even where nothing else is offered', async () => {
    const { port } = await start();
    const socket = await rawSocket(port);
    socket.write(upgradeHead(`Origin: ${ORIGIN}\r\nSec-WebSocket-Protocol: holdfast.ticket.${TICKET}\r\n`));
    const [data] = (await once(socket, 'data')) as [Buffer];
    expect(String(data)).toContain('101 Switching Protocols');
    expect(String(data)).toContain('"welcome"');
    expect(String(data)).not.toContain(TICKET);
  });

  it('is good once, also in parallel', async () => {
    const { port, server, live } = await start();
    const clients = [offering(port, TICKET), offering(port, TICKET), offering(port, TICKET)];
    const outcomes = await Promise.all(
      clients.map((client) => Promise.race([client.closed().then(({ code }) => code), client.next().then(() => 0)])),
    );
    expect(outcomes.toSorted((a, b) => a - b)).toEqual([0, 4202, 4202]);
    expect(server.connections().size).toBe(1);
    expect(live.size).toBe(1);
  });

  it.each([
    ['from another page', TICKET, {}],
    ['that is unknown', 'hft_other', PAGE],
    ['that is empty', '', PAGE],
  ])('%s is refused with 4202', async (_, ticket, options) => {
    const { port } = await start({ anonymous: true });
    expect(await offering(port, ticket, options).closed()).toEqual({ code: 4202, reason: 'bad_credential' });
  });

  it('in the URL is taken only where that is allowed', async () => {
    const denied = await start();
    const { status, body } = await refusedUpgrade(denied.port, { origin: ORIGIN }, `/v1/connect?ticket=${TICKET}`);
    expect([status, body['field']]).toEqual([400, 'query']);
    expect(JSON.stringify(body)).not.toContain(TICKET);

    const allowed = await start({ ticketInUrl: true });
    const socket = await rawSocket(allowed.port);
    const head = upgradeHead(`Origin: ${ORIGIN}\r\n`).replace('/v1/connect', `/v1/connect?ticket=${TICKET}`);
    socket.write(head);
    const [data] = (await once(socket, 'data')) as [Buffer];
    expect(String(data)).toContain('"principal":"alice"');
    const other = await refusedUpgrade(allowed.port, {}, `/v1/connect?ticket=${TICKET}&x=1`);
    expect([other.status, other.body['code']]).toEqual([400, 'invalid_field']);
  });
});

describe('several credentials are refused with 400 before any is looked at', () => {
  const ticket = `holdfast.ticket.${TICKET}`;
  it.each([
    ['two tickets', { 'sec-websocket-protocol': `${ticket}, ${ticket}2` }, ''],
    ['a ticket and a header', { 'sec-websocket-protocol': ticket, authorization: 'Bearer token' }, ''],
    ['a ticket in the URL and a header', { authorization: 'Bearer token' }, `?ticket=${TICKET}`],
    ['two tickets in the URL', {}, `?ticket=${TICKET}&ticket=x`],
    ['a ticket and one in the URL', { 'sec-websocket-protocol': ticket }, '?ticket=x'],
  ])('%s', async (_, headers, query) => {
    const { port, logins } = await start({ ticketInUrl: true });
    const sent = Object.entries({ origin: ORIGIN, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    const socket = await rawSocket(port);
    socket.write(upgradeHead(sent.join('')).replace('/v1/connect', `/v1/connect${query}`));
    const [data] = (await once(socket, 'data')) as [Buffer];
    expect(String(data)).toContain('400 Bad Request');
    expect(String(data)).toContain('multiple_credentials');
    expect(logins.tickets.size).toBe(1);
  });

  it('two headers', async () => {
    const { port } = await start();
    const socket = await rawSocket(port);
    socket.write(upgradeHead('Authorization: Bearer token\r\nAuthorization: Bearer token\r\n'));
    const [data] = (await once(socket, 'data')) as [Buffer];
    expect(String(data)).toContain('multiple_credentials');
  });
});

describe('a login that is over', () => {
  it.each([
    ['revoked', 4001, 'revoked'],
    ['idle', 4002, 'login_ended'],
    ['logout', 4002, 'login_ended'],
    ['token_reuse', 4003, 'token_reuse'],
  ] as [LoginEndReason, number, string][])('by %s is upgraded and closed with %i', async (reason, code, text) => {
    const { port, logins, live, server } = await start();
    logins.end('a', reason);
    expect(await offering(port, TICKET).closed()).toEqual({ code, reason: text });
    expect([live.size, server.connections().size]).toEqual([0, 0]);
  });

  it('by a notice that comes while it is read is not missed', async () => {
    const { port, logins, control, live } = await start();
    const gate = newGate();
    logins.reading = () => gate.promise;
    const client = new Client(port, bearer('token'));
    await until(() => live.size === 1);
    await control.append({ kind: 'login_ended', handle: 'a', reason: 'revoked' });
    const { reads } = control;
    await until(() => control.reads > reads + 1);
    gate.open();
    expect(await client.closed()).toEqual({ code: 4001, reason: 'revoked' });
    await until(() => live.size === 0);
  });

  it('closes its open connections within two polls, and frees what they own', async () => {
    const { port, control, sessions, live } = await start();
    const client = await connected(port, bearer('token'));
    await control.append({ kind: 'login_ended', handle: 'a', reason: 'token_reuse' });
    expect(await client.closed()).toEqual({ code: 4003, reason: 'token_reuse' });
    expect(sessions.departures).toMatchObject([{ release: true }]);
    expect(live.size).toBe(0);
  });
});

describe('a JWT of the application', () => {
  it('from before its principal was disconnected is refused; one that is open then is closed', async () => {
    const { port, logins, control } = await start();
    const jwt = { principal: 'bob', rights: [], issuedAtMs: 1_000, expiresAtMs: Date.now() + 60_000 };
    logins.bearers.set('jwt', jwt);
    const client = await connected(port, bearer('jwt'));
    logins.marks.set('bob', 1_001);
    expect(await new Client(port, bearer('jwt')).closed()).toEqual({ code: 4202, reason: 'bad_credential' });
    await control.append({
      kind: 'principal_disconnected',
      principalHandle: principalHandle('bob'),
      notBeforeMs: 1_001,
    });
    expect(await client.closed()).toEqual({ code: 4001, reason: 'revoked' });
  });
});

describe('while the store is away', () => {
  it.each(['the ticket', 'the login'])(
    '%s cannot be read: 503 with Retry-After, and nobody is logged out',
    async (what) => {
      const { port, logins, live, reports } = await start();
      if (what === 'the ticket') logins.away = true;
      else logins.reading = async () => void (logins.away = true);
      const { status, headers, body } = await refusedUpgrade(port, bearer('token').headers);
      expect([status, headers['retry-after'], body['code'], body['retryable']]).toEqual([
        503,
        '1',
        'store_unavailable',
        true,
      ]);
      expect(live.size).toBe(0);
      expect(reports.counts.get('refused:store_unavailable')).toBe(1);
      logins.away = false;
      logins.reading = undefined;
      await connected(port, bearer('token'));
    },
  );
});

it('a refused upgrade leaves nobody in the register', async () => {
  const { port, live, server } = await start();
  const socket = await rawSocket(port);
  const head = upgradeHead('Authorization: Bearer token\r\n');
  socket.write(head.replace('Version: 13', 'Version: 99'));
  const [data] = (await once(socket, 'data')) as [Buffer];
  expect(String(data)).toContain('400 Bad Request');
  expect(live.size).toBe(0);
  await connected(port, bearer('token'));
  expect(live.size).toBe(1);
  for (const connection of server.connections()) connection.terminate();
  await until(() => live.size === 0);
});

it('no credential is in any log', async () => {
  const lines: string[] = [];
  const note = (fields: object, message: string) => lines.push(JSON.stringify([fields, message]));
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const { port } = await start({ log });
  await offering(port, 'hft_unknown_secret').closed();
  await new Client(port, bearer('unknown_secret')).closed();
  await refusedUpgrade(port, {}, '/v1/connect?ticket=unknown_secret');
  await connected(port, bearer('token'));
  expect(lines.length).toBeGreaterThan(3);
  expect(lines.join()).not.toContain('unknown_secret');
});

import { describe, expect, it } from 'vitest';
import { connect, gateway, joined, pass } from './testing-harness.js';

const ID = 'doc:1';

describe('a connection to the fake gateway', () => {
  it('breaks with all that is under way, and what was not acknowledged is sent again', async () => {
    const [session] = await joined(ID);
    const sent = session.send('one');
    gateway.drop();
    await pass(100);
    expect(await sent).toEqual({ offset: 1 });
    expect(gateway.sent('send')).toHaveLength(1);
    expect(gateway.sent('subscribe')).toHaveLength(2);
    expect(gateway.session(ID).messages).toEqual(['one']);
  });

  it('loses what is on its way to the client, which gets it when it is back', async () => {
    const [session] = await joined(ID);
    const heard: unknown[] = [];
    session.on('message', ({ data }) => heard.push(data));
    gateway.publish(ID, 'one');
    gateway.drop();
    await pass();
    expect(heard).toEqual([]);
    await pass(100);
    expect(heard).toEqual(['one']);
  });

  it('is half-open: the client notices by its ping, and takes the session from the dead connection', async () => {
    const [session, client] = await joined(ID);
    const [dead] = gateway.connections;
    if (dead === undefined) throw new Error('one connected');
    gateway.goSilent(dead);
    await pass(25_000);
    const sent = session.send('one');
    await pass(7_999);
    expect(client.connection).toMatchObject({ welcome: { connection_id: dead.id } });
    await pass(200);
    expect(session.state.name).toBe('owner');
    expect(await sent).toEqual({ offset: 1 });
    expect(client.connection).not.toMatchObject({ welcome: { connection_id: dead.id } });
    expect(dead.open).toBe(false);
    gateway.speak(dead);
  });

  it('that was silent goes on where it was when it is over in time', async () => {
    const [session] = await joined(ID);
    gateway.goSilent();
    const sent = session.send('one');
    await pass(10_000);
    expect(gateway.session(ID).messages).toEqual([]);
    gateway.speak();
    expect(await sent).toEqual({ offset: 1 });
    expect(gateway.sent('subscribe')).toHaveLength(1);
  });

  it('is not made while the gateway is silent, and is when it speaks', async () => {
    gateway.goSilent();
    const [session, client] = await joined(ID);
    await pass(9_000);
    expect(client.connection.name).toBe('connecting');
    gateway.speak();
    await pass();
    expect(session.state.name).toBe('owner');
    expect(gateway.connections).toHaveLength(1);
  });

  it('that the client gave up on does not arrive later', async () => {
    gateway.goSilent();
    const [, client] = await joined(ID);
    await pass(60_000);
    client.close();
    gateway.refuseConnections(1);
    gateway.speak();
    const [, next] = await joined(ID);
    expect(next.connection).toMatchObject({ name: 'waiting', code: 1006 });
    expect(gateway.connections).toEqual([]);
  });

  it('is refused as often as the test says', async () => {
    gateway.refuseConnections(2);
    const [session, client] = await joined(ID);
    const codes: number[] = [];
    client.on('connection', (state) => state.name === 'waiting' && codes.push(state.code));
    expect(client.connection).toMatchObject({ name: 'waiting', code: 1006 });
    await pass(1_000);
    expect(codes).toEqual([1006]);
    expect(session.state.name).toBe('owner');
  });

  it('is refused with a close code after the upgrade', async () => {
    gateway.refuseConnections(1, 4004);
    const [session, client] = await joined(ID);
    expect(client.connection).toEqual({ name: 'stopped', code: 4004 });
    expect(session.state).toEqual({ name: 'stopped', reason: 'gateway' });
  });

  it.each([
    [4103, 'waiting', 'held'],
    [4001, 'stopped', 'free'],
    [4004, 'stopped', 'held'],
  ])('is closed with %i: the client is %s, its session %s', async (code, client, session) => {
    const [, it] = await joined(ID);
    gateway.close(code);
    await pass();
    expect(it.connection).toMatchObject({ name: client, code });
    expect(gateway.session(ID).state).toBe(session);
  });

  it('is told to come back when the node restarts, and finds another', async () => {
    const [session, client] = await joined(ID);
    gateway.drain(200, 1_000);
    await pass();
    expect(client.connection).toEqual({ name: 'waiting', delayMs: 700, code: 1012 });
    await pass(700);
    expect(client.connection).toMatchObject({ welcome: { node: 'fake-2' } });
    expect(session.state.name).toBe('owner');
  });

  it('has a session held for longer than the grace period when a restart asks it to wait', async () => {
    await joined(ID);
    gateway.drain(60_000, 0);
    await pass(59_000);
    expect(gateway.session(ID).state).toBe('held');
  });

  it('has a request refused, once each', async () => {
    const [session] = await joined(ID);
    gateway.refuseNext('send', 'message_rejected');
    gateway.refuseNext('send', 'rate_limited', { retryAfterMs: 700 });
    await expect(session.send('one')).rejects.toMatchObject({ code: 'message_rejected' });
    const second = session.send('two');
    await pass(700);
    expect(await second).toEqual({ offset: 1 });
  });

  it('is closed for a frame that is too large, which the client itself does not send', async () => {
    const [session] = await joined(ID);
    const tooLarge = 'x'.repeat(70_000);
    await expect(session.send(tooLarge)).rejects.toMatchObject({ code: 'message_too_large' });
    const socket = new gateway.WebSocket(gateway.url, ['holdfast.v1']);
    const codes: number[] = [];
    socket.addEventListener('close', ({ code }) => codes.push(code));
    await pass();
    socket.send(JSON.stringify({ type: 'send', session_id: ID, data: tooLarge }));
    await pass();
    expect(codes).toEqual([1009]);
  });

  it('counts sessions, and has what was sent over it', async () => {
    const many = connect();
    for (let n = 0; n < 128; n++) many.session(`many:${n}`);
    await pass();
    expect(gateway.connections[0]?.sessions).toHaveLength(128);
    gateway.connections[0]?.send({ type: 'login_expiring', expires_at: 0 });
    await pass();
    expect(gateway.sent().at(-1)).toMatchObject({ type: 'renew_login' });
  });
});

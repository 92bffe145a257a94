import { afterEach, beforeEach, expect, test } from 'vitest';
import { createClient } from '../../src/client/index.js';
import { FakeClock, FakeGateway } from '../../src/testing/index.js';

const clock = new FakeClock();
beforeEach(() => void clock.install());
afterEach(() => clock.uninstall());

test('who is away for longer than the grace period comes back as a watcher', async () => {
  const gateway = new FakeGateway({ graceMs: 30_000 });
  const client = createClient({ url: gateway.url, WebSocket: gateway.WebSocket });
  const session = client.session('doc:42');
  await clock.advance();
  expect(session.state.name).toBe('owner');

  gateway.refuseConnections();
  gateway.drop();
  await clock.advance(20_000);
  expect(session.state).toMatchObject({ name: 'reconnecting', wasOwner: true });
  expect(gateway.session('doc:42').state).toBe('held');

  await clock.advance(15_000);
  gateway.takeOver('doc:42', 'bob');
  gateway.refuseConnections(0);
  await clock.advance(20_000);
  expect(session.state.name).toBe('watching');

  client.close();
  gateway.stop();
  expect(clock.pending).toBe(0);
});

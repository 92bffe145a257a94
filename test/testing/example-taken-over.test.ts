import { expect, test, vi } from 'vitest';
import { type Client, createClient } from '../../src/client/index.js';
import { FakeGateway } from '../../src/testing/index.js';

/** The page under test. */
function openEditor(client: Client) {
  const page = { title: '', readOnly: true };
  client.session('doc:42').on('state', ({ state }) => {
    page.readOnly = state.name !== 'owner';
    page.title = page.readOnly ? 'Somebody else is editing' : 'You are editing';
  });
  return page;
}

test('the page turns read-only when its session is taken over', async () => {
  const gateway = new FakeGateway();
  const client = createClient({ url: gateway.url, WebSocket: gateway.WebSocket });
  const page = openEditor(client);
  await vi.waitFor(() => expect(page).toEqual({ title: 'You are editing', readOnly: false }));

  gateway.takeOver('doc:42');
  await vi.waitFor(() => expect(page).toEqual({ title: 'Somebody else is editing', readOnly: true }));

  client.close();
  gateway.stop();
});

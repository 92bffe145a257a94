// @vitest-environment happy-dom
import { describe, expect, it } from 'vitest';
import { ReconnectingBanner, useConnectionState, useSession } from '../../../src/client/react/index.js';
import { answer, gateway, happen, makeClient, type Page, pass, provided, show } from './react-page.js';

function Connected() {
  useSession('s:1');
  return null;
}

const EMPTY = '<div role="status"></div>';
const content = [<Connected key="session" />, <ReconnectingBanner key="banner" className="bar" />];

const region = (page: Page) => page.element.querySelector('[role=status]');

describe('the banner', () => {
  it('says nothing while all is well, in an element that is always there', async () => {
    const page = await show(provided(content));
    expect(page.element.innerHTML).toBe(EMPTY);
    const before = region(page);
    await answer();
    await pass(5_000);
    expect(page.element.innerHTML).toBe(EMPTY);
    await happen(() => gateway.socket.breakOff());
    await pass(500);
    expect(page.text).toBe('Reconnecting…');
    expect(region(page)).toBe(before);
  });

  it('says that the connection is away when it has been so for half a second, through all attempts', async () => {
    const page = await show(provided(content));
    await answer();
    await happen(() => gateway.socket.breakOff());
    for (let waited = 0; waited < 490; waited += 10) {
      await pass(10);
      expect(page.element.innerHTML).toBe(EMPTY);
      if (gateway.socket.closedWith === undefined && waited % 50 === 0) await happen(() => gateway.socket.breakOff());
    }
    await pass(20);
    expect(region(page)?.className).toBe('bar');
    expect(region(page)?.getAttribute('data-state')).toMatch(/^(waiting|connecting)$/);
    while (page.element.innerHTML !== EMPTY) {
      await pass(100);
      await answer().catch(() => {});
    }
  });

  it('says nothing of a short break', async () => {
    const page = await show(provided([<Connected key="session" />, <ReconnectingBanner key="b" delayMs={2_000} />]));
    await answer();
    await happen(() => gateway.socket.breakOff());
    await pass(1_000);
    await answer();
    await pass(2_000);
    expect(page.element.innerHTML).toBe(EMPTY);
  });

  it('waits anew in each break', async () => {
    const page = await show(provided(content));
    for (const lasting of [400, 600, 400]) {
      await answer();
      // A connection that lasted is come back for at once.
      await pass(6_000);
      expect(page.element.innerHTML).toBe(EMPTY);
      await happen(() => gateway.socket.breakOff());
      await pass(400);
      expect(page.element.innerHTML).toBe(EMPTY);
      await pass(lasting - 400);
    }
  });

  it('says nothing of a client that the application closed', async () => {
    const client = makeClient();
    const page = await show(provided(content, client));
    await answer();
    await happen(() => client.close());
    await pass(1_000);
    expect(page.element.innerHTML).toBe(EMPTY);
  });

  it('says when the gateway ended the connection, and nothing when the application did', async () => {
    const page = await show(provided(content));
    await answer();
    const client = makeClient.mock.results[0]?.value;
    await happen(() => client?.pause());
    await pass(1_000);
    expect(page.element.innerHTML).toBe(EMPTY);
    await happen(() => client?.resume());
    await answer();
    await happen(() => gateway.socket.breakOff(4_003));
    await pass(500);
    expect(page.text).toBe('Disconnected');
    expect(region(page)?.getAttribute('data-state')).toBe('stopped');
  });

  it('shows what it is given', async () => {
    const page = await show(
      provided([
        <Connected key="session" />,
        <ReconnectingBanner key="banner" delayMs={0}>
          {(state) => <b>{state.name}</b>}
        </ReconnectingBanner>,
      ]),
    );
    await pass(1);
    expect(page.element.innerHTML).toBe('<div role="status" data-state="connecting"><b>connecting</b></div>');
  });
});

describe('useConnectionState', () => {
  it('follows the connection', async () => {
    const states: string[] = [];
    const Collect = () => {
      const { name } = useConnectionState();
      if (states.at(-1) !== name) states.push(name);
      return null;
    };
    await show(provided([<Connected key="session" />, <Collect key="states" />]));
    await answer();
    await happen(() => gateway.socket.breakOff());
    expect(states.slice(0, 1)).toEqual(['idle']);
    expect(states.slice(-3)).toEqual(['connecting', 'open', 'waiting']);
  });
});

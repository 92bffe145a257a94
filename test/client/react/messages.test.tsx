// @vitest-environment happy-dom
import { act } from 'react';
import { describe, expect, it, vi } from 'vitest';
import type { Session } from '../../../src/client/index.js';
import { useMessages, useSession } from '../../../src/client/react/index.js';
import { logOf } from '../../../src/client/react/message-log.js';
import { answer, deliver, gateway, happen, makeClient, pass, provided, show } from './react-page.js';

const LAST = 10_000;

let renders = 0;

function Messages({ of = 's:1', limit }: { of?: string | Session<number>; limit?: number }) {
  const messages = useMessages<number>(of, limit === undefined ? {} : { limit });
  renders++;
  return <p>{messages.map(({ data }) => data).join(' ')}</p>;
}

const deliverMany = (first: number, last: number) => {
  for (let offset = first; offset <= last; offset++) deliver('s:1', offset, offset);
};

/** The numbers from `first` to `last`, as the page shows them. */
const numbers = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index).join(' ');

/** Counts, from now on. */
function listenersOf(session: Session<number>): { added: number; removed: number } {
  const counts = { added: 0, removed: 0 };
  const { on } = session;
  vi.spyOn(session, 'on').mockImplementation((event, listener) => {
    counts.added++;
    const off = on.call(session, event, listener);
    return () => {
      counts.removed++;
      off();
    };
  });
  return counts;
}

describe('useMessages', () => {
  it('shows messages in order, with the next frame', async () => {
    const page = await show(provided(<Messages />));
    await answer();
    await act(async () => deliverMany(1, 3));
    expect(page.text).toBe('');
    await pass(20);
    expect(page.text).toBe('1 2 3');
    await happen(() => deliver('s:1', 4, 4));
    await pass(20);
    expect(page.text).toBe('1 2 3 4');
  });

  it('renders once for however many there are in a frame', async () => {
    const page = await show(provided(<Messages />));
    await answer();
    renders = 0;
    const ms = 1_000;
    await act(async () => {
      for (let offset = 1; offset <= LAST; offset++) {
        deliver('s:1', offset, offset);
        if (offset % (LAST / ms) === 0) await vi.advanceTimersByTimeAsync(1);
      }
    });
    await pass(20);
    expect(page.text).toBe(numbers(LAST - 199, LAST));
    expect(renders).toBeGreaterThan(1);
    expect(renders).toBeLessThanOrEqual(ms / 16 + 1);
  });

  it('keeps the newest in bounded memory when 10,000 come at once', async () => {
    const page = await show(provided(<Messages limit={300} />));
    await answer();
    renders = 0;
    await act(async () => deliverMany(1, LAST));
    await pass(20);
    expect(renders).toBe(1);
    expect(page.text).toBe(numbers(LAST - 299, LAST));
  });

  it('goes on without frames, as in a hidden page', async () => {
    const page = await show(provided(<Messages />));
    await answer();
    vi.stubGlobal('requestAnimationFrame', () => 1);
    await happen(() => deliverMany(1, 2));
    await pass(99);
    expect(page.text).toBe('');
    await pass(1);
    expect(page.text).toBe('1 2');
    vi.stubGlobal('requestAnimationFrame', undefined);
    await happen(() => deliver('s:1', 3, 3));
    await pass(16);
    expect(page.text).toBe('1 2 3');
  });

  it('gives each component as many as it asks for, and does not render for nothing', async () => {
    const page = await show(provided([<Messages key="a" limit={2} />, <Messages key="b" limit={0} />]));
    await answer();
    await happen(() => deliverMany(1, 5));
    await pass(20);
    expect(page.text).toBe('4 5');
    renders = 0;
    await pass(1_000);
    expect(renders).toBe(0);
  });

  it('never changes an array that it gave', async () => {
    const given: (readonly unknown[])[] = [];
    const Collect = () => {
      given.push(useMessages('s:1'));
      return null;
    };
    await show(provided(<Collect />));
    await answer();
    await happen(() => deliver('s:1', 1, 1));
    await pass(20);
    const [before] = given.slice(-1);
    await happen(() => deliver('s:1', 2, 2));
    await pass(20);
    expect(before).toHaveLength(1);
    expect(given.at(-1)).toHaveLength(2);
    expect(given.at(-1)?.[0]).toBe(before?.[0]);
  });

  it('gives the same array until there are other messages', async () => {
    const given = new Set<readonly unknown[]>();
    const Collect = () => {
      given.add(useMessages('s:1', { limit: 2 }));
      return null;
    };
    const page = await show(provided(<Collect />));
    await answer();
    await happen(() => deliverMany(1, 3));
    await pass(20);
    given.clear();
    for (let round = 0; round < 3; round++) await page.show(provided(<Collect />));
    expect(given.size).toBe(1);
  });

  it('keeps no more than the largest limit, and leaves no frame behind', async () => {
    const client = makeClient();
    const session = client.session<number>('s:1');
    const page = await show([
      <Messages key="a" of={session} limit={300} />,
      <Messages key="b" of={session} limit={2} />,
    ]);
    await answer();
    const timers = vi.getTimerCount();
    for (const last of [LAST / 2, LAST]) {
      await happen(() => deliverMany(last - 999, last));
      await pass(20);
    }
    expect(logOf(session).messages).toHaveLength(300);
    await act(async () => deliver('s:1', LAST + 1, LAST + 1));
    expect(vi.getTimerCount()).toBeGreaterThan(timers);
    await page.leave();
    expect(vi.getTimerCount()).toBe(timers);
    client.close();
  });

  it('shows a component that comes later what came since the subscription', async () => {
    const Holder = () => {
      useSession('s:1');
      return null;
    };
    const page = await show(provided([<Holder key="holder" />]));
    await answer();
    await happen(() => deliverMany(1, 250));
    await page.show(provided([<Holder key="holder" />, <Messages key="messages" />]));
    expect(page.text).toBe(numbers(51, 250));
  });

  it('goes on for the others when a component is gone', async () => {
    const page = await show(provided([<Messages key="a" />, <Messages key="b" />]));
    await answer();
    await happen(() => deliverMany(1, 2));
    await page.show(provided([<Messages key="b" />]));
    await happen(() => deliver('s:1', 3, 3));
    await pass(20);
    expect(page.text).toBe('1 2 3');
  });

  it('begins anew after the session was given up', async () => {
    const page = await show(provided(<Messages />));
    await answer();
    await happen(() => deliverMany(1, 3));
    await pass(20);
    await page.show(provided(undefined));
    await pass(1_000);
    await page.show(provided(<Messages />));
    expect(page.text).toBe('');
  });

  it('follows a session that the application made, and takes its listener off it', async () => {
    const client = makeClient();
    const session = client.session<number>('s:1');
    const listeners = listenersOf(session);
    const page = await show(<Messages of={session} />);
    await answer();
    await happen(() => deliverMany(1, 2));
    await pass(20);
    expect(page.text).toBe('1 2');
    await happen(() => deliver('s:1', 3, 3));
    await page.leave();
    expect(listeners).toEqual({ added: 1, removed: 1 });
    await pass(5_000);
    expect(gateway.socket.all('unsubscribe')).toEqual([]);
    expect(session.state.name).toBe('watching');
    await happen(() => deliver('s:1', 4, 4));
    const next = await show(<Messages of={session} />);
    await happen(() => deliver('s:1', 5, 5));
    await pass(20);
    expect(next.text).toBe('5');
    client.close();
  });

  it('takes its listeners off a session that it gives up', async () => {
    const client = makeClient();
    const listeners = listenersOf(client.session<number>('s:1'));
    const page = await show(provided(<Messages />, client));
    await answer();
    await page.show(provided(undefined, client));
    await pass(1_000);
    expect(listeners).toEqual({ added: 2, removed: 2 });
    client.close();
  });
});

// @vitest-environment happy-dom
import { Component, type ReactNode, StrictMode, Suspense, use } from 'react';
import { describe, expect, it, vi } from 'vitest';
import { createClient } from '../../../src/client/index.js';
import {
  type UseSessionOptions,
  useClient,
  useConnectionState,
  useMessages,
  useSession,
} from '../../../src/client/react/index.js';
import { OWNED } from '../fake-gateway.js';
import {
  acknowledge,
  acknowledgeUnsubscribe,
  answer,
  complaints,
  gateway,
  happen,
  hydrate,
  makeClient,
  pass,
  provided,
  show,
  subscribed,
  unsubscribed,
} from './react-page.js';

function State({ id = 's:1', options }: { id?: string; options?: UseSessionOptions }) {
  const { session, state } = useSession(id, options);
  return <p>{`${session?.id ?? 'none'} ${state.name}`}</p>;
}

class Boundary extends Component<{ children: ReactNode }> {
  override state: { message?: string } = {};

  static getDerivedStateFromError(error: Error) {
    return { message: `${error.name}: ${error.message}` };
  }

  override render() {
    return this.state.message ?? this.props.children;
  }
}

describe('the provider', () => {
  it('makes one client, however often it renders, and closes it after it is gone', async () => {
    const page = await show(provided(<State />));
    await page.show(provided(<State />, () => makeClient()));
    expect(makeClient).toHaveBeenCalledTimes(1);
    const [made] = makeClient.mock.results;
    await answer(OWNED);
    expect(page.text).toBe('s:1 owner');
    await page.leave();
    expect(made?.value.connection.name).toBe('open');
    await pass(1);
    expect(made?.value.connection.name).toBe('stopped');
  });

  it('makes one client in StrictMode, on one connection, and subscribes once', async () => {
    const page = await show(<StrictMode>{provided(<State />)}</StrictMode>);
    await pass(2_000);
    expect(makeClient).toHaveBeenCalledTimes(1);
    expect(gateway.sockets).toHaveLength(1);
    await answer(OWNED);
    expect(subscribed()).toEqual(['s:1']);
    await pass(2_000);
    expect(unsubscribed()).toEqual([]);
    expect(page.text).toBe('s:1 owner');
  });

  it("leaves the application's own client open", async () => {
    const client = createClient({ url: 'ws://gateway.test/v1/connect', WebSocket: gateway.WebSocket });
    const page = await show(provided(<State />, client));
    await answer();
    await page.leave();
    await pass(1_000);
    expect(unsubscribed()).toEqual(['s:1']);
    expect(client.connection.name).toBe('open');
    client.close();
  });

  it('takes another client when it is given one', async () => {
    const [first, second] = [makeClient(), makeClient()];
    const page = await show(provided(<State />, first));
    await answer();
    expect(page.text).toBe('s:1 watching');
    await page.show(provided(<State />, second));
    expect(gateway.sockets).toHaveLength(2);
    expect(page.text).toBe('s:1 connecting');
    await answer(OWNED);
    expect(page.text).toBe('s:1 owner');
    first.close();
    await happen(() => second.close());
    expect(page.text).toBe('s:1 stopped');
  });

  it('is missed by the hooks that need one', async () => {
    const Needs = ({ what }: { what: () => unknown }) => String(what());
    const text = async (what: () => unknown) => {
      const page = await show(
        <Boundary>
          <Needs what={what} />
        </Boundary>,
      );
      return page.text;
    };
    expect(await text(useClient)).toMatch(/^Error: there is no HoldfastProvider/);
    expect(await text(useConnectionState)).toMatch(/^Error: there is no HoldfastProvider/);
    expect(await text(() => useSession('s:1'))).toMatch(/^Error: there is no HoldfastProvider/);
    expect(await text(() => useMessages('s:1'))).toMatch(/^Error: there is no HoldfastProvider/);
    complaints.length = 0;
  });

  it('shows what the function threw to the error boundary', async () => {
    makeClient.mockImplementationOnce(() => createClient({ url: 'http://gateway.test' }));
    const page = await show(<Boundary>{provided(<State />)}</Boundary>);
    expect(page.text).toMatch(/^TypeError/);
    complaints.length = 0;
  });
});

describe('useSession', () => {
  it('follows the state of the session', async () => {
    const page = await show(provided(<State />));
    expect(page.text).toBe('s:1 connecting');
    await answer();
    expect(page.text).toBe('s:1 watching');
    await happen(() => gateway.socket.breakOff());
    expect(page.text).toBe('s:1 reconnecting');
  });

  it('is one subscription for all components with that id, until the last is gone for a second', async () => {
    const page = await show(provided([<State key="a" />, <State key="b" />]));
    await answer();
    expect(subscribed()).toEqual(['s:1']);
    await page.show(provided([<State key="b" />]));
    await pass(2_000);
    expect(unsubscribed()).toEqual([]);
    await page.show(provided([]));
    await pass(999);
    expect(unsubscribed()).toEqual([]);
    await pass(1);
    expect(unsubscribed()).toEqual(['s:1']);
  });

  it('goes on with the session when a component comes back within the second', async () => {
    const page = await show(provided(<State key="a" />));
    await answer(OWNED);
    await page.show(provided(undefined));
    await pass(900);
    await page.show(provided(<State key="b" />));
    expect(page.text).toBe('s:1 owner');
    await pass(2_000);
    expect(unsubscribed()).toEqual([]);
    expect(subscribed()).toEqual(['s:1']);
  });

  it('subscribes anew when a component comes back while the session is being given up', async () => {
    const page = await show(provided(<State options={{ claim: 'never' }} />));
    await answer(OWNED);
    await page.show(provided(undefined));
    await pass(1_000);
    await page.show(provided(<State options={{ claim: 'if_free' }} />));
    expect(page.text).toBe('none idle');
    expect(subscribed()).toEqual(['s:1']);
    await acknowledgeUnsubscribe();
    expect(subscribed()).toEqual(['s:1', 's:1']);
    expect(gateway.socket.subscription().claim).toBe('if_free');
    await acknowledge();
    expect(page.text).toBe('s:1 watching');
  });

  it('waits for that also when another component came and went meanwhile', async () => {
    const page = await show(provided(<State key="a" />));
    await answer(OWNED);
    await page.show(provided(undefined));
    await pass(1_000);
    await page.show(provided(<State key="b" />));
    await page.show(provided(undefined));
    await page.show(provided(<State key="c" />));
    await acknowledgeUnsubscribe();
    await acknowledge();
    expect(page.text).toBe('s:1 watching');
  });

  it('says so when the client stops before the session is there', async () => {
    const client = makeClient();
    const page = await show(provided(<State />, client));
    await answer();
    await page.show(provided(undefined, client));
    await pass(1_000);
    await page.show(provided(<State />, client));
    await happen(() => client.close());
    expect(page.text).toBe('none stopped');
  });

  it('changes the session with the id', async () => {
    const page = await show(provided(<State id="s:1" />));
    await answer(OWNED);
    await page.show(provided(<State id="s:2" />));
    await acknowledge();
    expect(page.text).toBe('s:2 watching');
    await pass(1_000);
    expect(unsubscribed()).toEqual(['s:1']);
  });

  it('keeps what is to be kept', async () => {
    const page = await show(provided(<State options={{ keep: true }} />));
    await answer(OWNED);
    await page.show(provided(undefined));
    await pass(5_000);
    expect(unsubscribed()).toEqual([]);
    await page.show(provided(<State />));
    expect(page.text).toBe('s:1 owner');
  });

  it('asks with the options of the component that brings some, though its children come first', async () => {
    const Parent = () => {
      useSession('s:1', { claim: 'never', since: 'oldest' });
      return <State />;
    };
    await show(provided(<Parent />));
    await answer();
    expect(gateway.socket.subscription()).toMatchObject({ claim: 'never', since: 'oldest' });
  });

  it('asks with the options of the first component, where several bring some', async () => {
    const options = { claim: 'never' } as const;
    await show(provided([<State key="a" options={options} />, <State key="b" options={{ claim: 'if_free' }} />]));
    await answer();
    expect(gateway.socket.subscription()).toMatchObject(options);
  });

  it('subscribes nothing for a component that suspends before it is there', async () => {
    let resolve: (value: string) => void = () => {};
    const data = new Promise<string>((done) => (resolve = done));
    const Late = () => {
      const { state } = useSession('s:1');
      return <p>{`${use(data)} ${state.name}`}</p>;
    };
    const page = await show(
      provided(
        <Suspense fallback="loading">
          <Late />
        </Suspense>,
      ),
    );
    await pass(5_000);
    expect(page.text).toBe('loading');
    expect(gateway.sockets).toEqual([]);
    await happen(() => resolve('ready'));
    await answer();
    expect(page.text).toBe('ready watching');
  });

  it('subscribes nothing for a component that is gone before the microtask', async () => {
    const client = makeClient();
    const { sharedSessionsOf } = await import('../../../src/client/react/shared-sessions.js');
    const letGo = sharedSessionsOf(client).hold('s:1', {}, vi.fn());
    letGo();
    await pass(2_000);
    expect(gateway.sockets).toEqual([]);
    client.close();
  });

  it('shows why the session stopped, until it is mounted again', async () => {
    const page = await show(provided(<State key="a" />));
    await happen(() => gateway.socket.welcome());
    const { id } = gateway.socket.last('subscribe');
    const refusal = { type: 'error', code: 'forbidden', message: 'no', retryable: false, id, session_id: 's:1' };
    await happen(() => gateway.socket.receive(refusal));
    expect(page.text).toBe('s:1 stopped');
    await page.show(provided(<State key="b" />));
    await acknowledge();
    expect(subscribed()).toEqual(['s:1', 's:1']);
    expect(page.text).toBe('s:1 watching');
  });

  it('says so when the client has stopped', async () => {
    const Reason = ({ id }: { id: string }) => {
      const { state } = useSession(id);
      return state.name === 'stopped' ? state.reason : state.name;
    };
    const page = await show(provided(<Reason id="s:1" />));
    await answer();
    await happen(() => gateway.socket.breakOff(4_003));
    expect(page.text).toBe('gateway');
    await page.show(provided(<Reason id="s:2" />));
    expect(page.text).toBe('gateway');
    const closed = makeClient();
    closed.close();
    expect((await show(provided(<Reason id="s:1" />, closed))).text).toBe('closed');
  });

  it('shows to the error boundary what cannot be', async () => {
    const page = await show(
      provided(
        <Boundary>
          <State id="no spaces" />
        </Boundary>,
      ),
    );
    expect(page.text).toMatch(/^TypeError: a session id is/);
    complaints.length = 0;
  });

  it('takes over what a server rendered', async () => {
    const content = <StrictMode>{provided(<State />)}</StrictMode>;
    const page = await hydrate(content);
    expect(page.text).toBe('s:1 connecting');
    await answer(OWNED);
    expect(page.text).toBe('s:1 owner');
  });
});

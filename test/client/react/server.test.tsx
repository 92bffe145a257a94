import { renderToString } from 'react-dom/server';
import { expect, it, vi } from 'vitest';
import {
  HoldfastProvider,
  ReconnectingBanner,
  useConnectionState,
  useMessages,
  useOwnership,
  useSession,
} from '../../../src/client/react/index.js';

function All() {
  const { session, state } = useSession('s:1');
  const { isOwner, pending } = useOwnership(session);
  const messages = useMessages('s:1');
  const { name } = useConnectionState();
  return `${session?.id} ${state.name} ${isOwner} ${pending} ${messages.length} ${name}`;
}

it('renders on a server without a client, without a timer and without a complaint', () => {
  vi.useFakeTimers();
  const complaint = vi.spyOn(console, 'error');
  const makeClient = vi.fn();
  const html = renderToString(
    <HoldfastProvider client={makeClient}>
      <All />
      <ReconnectingBanner className="bar" />
    </HoldfastProvider>,
  );
  expect(html).toBe('undefined idle false false 0 idle<div role="status"></div>');
  expect(makeClient).not.toHaveBeenCalled();
  expect(complaint).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

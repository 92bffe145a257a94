// @vitest-environment happy-dom
import { describe, expect, it } from 'vitest';
import { type OwnershipControl, useOwnership, useSession } from '../../../src/client/react/index.js';
import { OWNED, snapshot } from '../fake-gateway.js';
import { answer, gateway, happen, pass, provided, show, subscribed, unsubscribed } from './react-page.js';

let control: OwnershipControl;

function Control({ id = 's:1' }: { id?: string }) {
  control = useOwnership(id);
  const { isOwner, ownership, pending, error, claim, takeOver, release } = control;
  return (
    <>
      <button type="button" onClick={claim}>
        Claim
      </button>
      <button type="button" onClick={takeOver}>
        Take over
      </button>
      <button type="button" onClick={release}>
        Release
      </button>
      <p>
        {[isOwner ? 'owner' : 'watcher', ownership?.state, pending && 'pending', error?.code].filter(Boolean).join(' ')}
      </p>
    </>
  );
}

const shown = (page: { element: HTMLElement }) => page.element.querySelector('p')?.textContent;

/** To the last message of a type. */
async function reply(type: 'claim' | 'release', message: Record<string, unknown>): Promise<void> {
  const { id, session_id } = gateway.socket.last(type);
  await happen(() => gateway.socket.receive({ session_id, id, ...message }));
}

const CLAIMED = { ...snapshot('s:1'), ...OWNED, type: 'claim_ack', owner_epoch: 6, rev: 2 };
const REFUSED = { type: 'error', code: 'session_owned', message: 'another has it', retryable: false };

describe('useOwnership', () => {
  it('claims, and gives it back', async () => {
    const page = await show(provided(<Control />));
    expect(shown(page)).toBe('watcher');
    await answer();
    expect(shown(page)).toBe('watcher owned');
    await page.press('Claim');
    expect(shown(page)).toBe('watcher owned pending');
    await reply('claim', CLAIMED);
    expect(shown(page)).toBe('owner owned');
    await page.press('Release');
    expect(shown(page)).toBe('owner owned pending');
    await reply('release', { type: 'release_ack' });
    expect(shown(page)).toBe('watcher free');
  });

  it('shows a refusal until the next attempt, and rejects nothing', async () => {
    const page = await show(provided(<Control />));
    await answer();
    await page.press('Claim');
    await reply('claim', REFUSED);
    expect(shown(page)).toBe('watcher owned session_owned');
    await page.press('Take over');
    expect(shown(page)).toBe('watcher owned pending');
    expect(gateway.socket.last('claim')).toMatchObject({ force: true });
    await reply('claim', CLAIMED);
    expect(shown(page)).toBe('owner owned');
  });

  it('shows what became of the last attempt', async () => {
    const page = await show(provided(<Control />));
    await answer();
    await page.press('Claim');
    await page.press('Take over');
    await reply('claim', REFUSED);
    expect(shown(page)).toBe('watcher owned pending');
    await reply('claim', CLAIMED);
    expect(shown(page)).toBe('owner owned');
  });

  it('forgets an attempt with its session', async () => {
    const page = await show(provided(<Control />));
    await answer();
    await page.press('Claim');
    await reply('claim', REFUSED);
    await page.show(provided(<Control id="s:2" />));
    expect(shown(page)).toBe('watcher');
  });

  it('goes on while its component is gone, and warns of nothing', async () => {
    const Holder = () => {
      useSession('s:1');
      return null;
    };
    const page = await show(provided([<Holder key="holder" />, <Control key="control" />]));
    await answer();
    await page.press('Claim');
    await page.show(provided([<Holder key="holder" />]));
    await reply('claim', REFUSED);
    expect(page.text).toBe('');
  });

  it('warns of nothing when the provider is gone before the answer', async () => {
    const page = await show(provided(<Control />));
    await answer();
    await page.press('Claim');
    await page.leave();
    await pass(1);
  });

  it('does nothing while there is no session', async () => {
    const before: OwnershipControl[] = [];
    const Collect = () => {
      before.push(useOwnership('s:1'));
      return null;
    };
    await show(provided(<Collect />));
    await answer();
    before[0]?.claim();
    expect(gateway.socket.all('claim')).toEqual([]);
  });

  it('holds the session that it is given the id of', async () => {
    const page = await show(provided(<Control />));
    await answer(OWNED);
    expect(subscribed()).toEqual(['s:1']);
    await page.show(provided(undefined));
    await pass(1_000);
    expect(unsubscribed()).toEqual(['s:1']);
  });

  it('keeps its functions from render to render', async () => {
    const page = await show(provided(<Control />));
    await answer();
    const { claim, takeOver, release } = control;
    await page.show(provided(<Control />));
    expect(control).toMatchObject({ claim, takeOver, release });
  });
});

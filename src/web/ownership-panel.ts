import { type Client, isSubscribed, type Session } from '../client/index.js';
import { Countdown } from './countdown.js';
import { button, element } from './elements.js';
import type { OnClick } from './on-click.js';
import { describe } from './words.js';

export interface OwnershipPanelOptions {
  client: Client;
  /** The one that the page shows now. */
  session: () => Session;
  subscribeAgain: () => void;
  onClick: OnClick;
}

/** Says whose the session is, and has the buttons that change it. */
export class OwnershipPanel {
  readonly #options: OwnershipPanelOptions;
  readonly #countdown = new Countdown({
    box: element('grace'),
    bar: element<HTMLProgressElement>('grace-bar'),
    left: element('grace-left'),
  });
  readonly #claim = button('claim');
  readonly #force = button('force');
  readonly #release = button('release');
  readonly #unsubscribe = button('unsubscribe');

  constructor(options: OwnershipPanelOptions) {
    this.#options = options;
    const { session, subscribeAgain, onClick } = options;
    onClick(this.#claim, () => session().claim());
    onClick(this.#force, () => session().claim({ force: true }));
    onClick(this.#release, () => session().release());
    onClick(this.#unsubscribe, () => {
      if (session().state.name !== 'stopped') return session().unsubscribe();
      subscribeAgain();
    });
  }

  render(): void {
    const { id, state } = this.#options.session();
    const { connection } = this.#options.client;
    const subscribed = isSubscribed(state);
    const isOffline = subscribed && !navigator.onLine;
    const code = connection.name === 'stopped' ? connection.code : undefined;
    const { headline, detail } = describe(state, { isAway: connection.name === 'paused', isOffline, code });
    element('status').dataset['state'] = isOffline ? 'offline' : state.name;
    say('headline', headline);
    say('detail', detail);
    document.title = `${headline} · ${id}`;

    const owns = state.name === 'owner' || state.name === 'unconfirmed';
    const isFree = 'ownership' in state && state.ownership.state === 'free';
    this.#claim.disabled = !subscribed || owns || !isFree;
    this.#force.disabled = !subscribed || owns || isFree;
    this.#release.disabled = !owns;
    this.#unsubscribe.disabled = connection.name === 'stopped' || !(subscribed || state.name === 'stopped');
    this.#unsubscribe.textContent = state.name === 'stopped' ? 'Subscribe' : 'Unsubscribe';
  }

  /** To be called with each new state. The gateway's clock may differ, so no more than the whole period is believed. */
  showGrace({ state }: Session): void {
    if (state.name === 'held_by_other') {
      const { until = 0, graceMs } = state.ownership;
      this.#countdown.start(Math.max(0, until - Date.now()), graceMs);
    } else if (state.name === 'reconnecting' && state.wasOwner) {
      const { graceMs } = state.ownership;
      this.#countdown.start(graceMs, graceMs, () => {
        say('detail', 'The grace period is over: whoever comes next may have the session.');
      });
    } else this.#countdown.stop();
  }
}

/** A status that says the same again would be read out again. */
function say(id: string, text: string): void {
  const target = element(id);
  if (target.textContent !== text) target.textContent = text;
}

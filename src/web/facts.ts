/** The figures of the page: who owns the session, which node serves this tab, and how long its login lasts. */
import type { Client, Session } from '../client/index.js';
import type { LoginClient } from '../client/login/index.js';
import { duration } from './duration.js';
import { element } from './elements.js';

const NONE = '–';

export class Facts {
  readonly #client: Client;
  readonly #login: LoginClient | undefined;
  #loginEndsAt: number | undefined;
  #accessEndsAt: number | undefined;

  /** @param loginEndsAt ms since 1970, where that is known */
  constructor(client: Client, login: LoginClient | undefined, loginEndsAt: number | undefined) {
    this.#client = client;
    this.#login = login;
    this.#loginEndsAt = loginEndsAt;
    for (const id of ['access-fact', 'login-fact']) element(id).hidden = login === undefined;
    if (login === undefined) return;
    client.on('connection', (state) => {
      if (state.name === 'open') this.#accessEndsAt = state.welcome.expires_at;
    });
    login.on('renewed', ({ expiresAt }) => {
      this.#accessEndsAt = expiresAt;
      this.#showExpiry();
    });
    login.on('ended', () => {
      this.#accessEndsAt = this.#loginEndsAt = undefined;
      this.#showExpiry();
    });
    setInterval(() => this.#showExpiry(), 1_000);
  }

  render({ state }: Session): void {
    const ownership = 'ownership' in state ? state.ownership : undefined;
    const welcome = this.#client.connection.name === 'open' ? this.#client.connection.welcome : undefined;
    show('owner', ownerOf(state));
    show('epoch', ownership?.ownerEpoch);
    show('rev', ownership?.rev);
    show('connection', welcome?.connection_id);
    show('node', welcome?.node);
    if (welcome === undefined) show('here', undefined);
    if (this.#login !== undefined) this.#showExpiry();
  }

  showPresence(count: number): void {
    element('presence').hidden = false;
    show('here', count);
  }

  #showExpiry(): void {
    showEnd('access-ends', this.#accessEndsAt);
    showEnd('login-ends', this.#loginEndsAt);
  }
}

function ownerOf(state: Session['state']): string {
  if (state.name === 'owner' || state.name === 'unconfirmed') return 'This tab';
  if (!('ownership' in state)) return NONE;
  if (state.ownership.state === 'free') return 'Nobody';
  if (state.name === 'reconnecting' && state.wasOwner) return 'This tab, last known';
  return state.ownership.principal ?? 'Another tab';
}

function show(id: string, value: string | number | undefined): void {
  element(id).textContent = value === undefined ? NONE : String(value);
}

function showEnd(id: string, at: number | undefined): void {
  const fact = element(id);
  fact.textContent = at === undefined ? NONE : `in ${duration(at - Date.now())}`;
  fact.title = at === undefined ? '' : new Date(at).toLocaleString();
}

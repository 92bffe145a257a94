import type { Client } from '../client/index.js';
import type { LoginClient } from '../client/login/index.js';
import { CLOSE_CODES } from '../protocol/close-codes.js';
import { duration } from './duration.js';
import { button } from './elements.js';
import type { EventLog } from './event-log.js';
import type { FaultyNetwork } from './faulty-network.js';
import type { OnClick } from './on-click.js';
import { endLogin, killNode } from './playground.js';

const OFFLINE_MS = 10_000;
const NEEDS_LOGIN = 'Log in first: nobody is logged in on this page';

export interface FaultPanelOptions {
  client: Client;
  network: FaultyNetwork;
  log: EventLog;
  /** Absent for an anonymous visitor. */
  login: LoginClient | undefined;
  loginId: string | undefined;
  canKillNode: boolean;
  onClick: OnClick;
}

/** The buttons that break something. */
export class FaultPanel {
  readonly #options: FaultPanelOptions;
  readonly #drop = button('drop');
  readonly #away = button('away');
  readonly #offline = button('offline');
  readonly #kill = button('kill');
  readonly #expire = button('expire');
  readonly #endLogin = button('end-login');
  #loginId: string | undefined;

  constructor(options: FaultPanelOptions) {
    this.#options = options;
    const { client, network, log, login, canKillNode, onClick } = options;
    this.#loginId = options.loginId;
    login?.on('renewed', ({ loginId }) => {
      this.#loginId = loginId;
      this.render();
    });
    login?.on('ended', () => {
      this.#loginId = undefined;
      this.render();
    });
    this.#kill.hidden = !canKillNode;
    onClick(this.#drop, () => network.end());
    onClick(this.#away, () => (client.connection.name === 'paused' ? client.resume() : client.pause()));
    onClick(this.#offline, () => this.#goOffline());
    onClick(button('freeze'), () => this.#freeze());
    onClick(this.#kill, async () => {
      if (client.connection.name !== 'open') return;
      const { node } = client.connection.welcome;
      log.add(`Killing ${node}; it is started again in a few seconds`);
      await killNode(node);
    });
    // The client then asks for a fresh access token before it comes back with a fresh ticket.
    onClick(this.#expire, () => network.end(CLOSE_CODES.login_expired));
    onClick(this.#endLogin, async () => {
      if (this.#loginId !== undefined) await endLogin(this.#loginId);
    });
  }

  render(): void {
    const { name } = this.#options.client.connection;
    const { isOffline } = this.#options.network;
    const isAway = name === 'paused';
    this.#drop.disabled = name !== 'open';
    this.#away.textContent = isAway ? 'Come back' : 'Stay away';
    this.#away.classList.toggle('quiet', !isAway);
    this.#away.disabled = name === 'stopped';
    this.#offline.disabled = isOffline;
    this.#kill.disabled = name !== 'open' || isOffline;
    this.#needLogin(this.#expire, name === 'open' && !isOffline);
    this.#needLogin(this.#endLogin, true);
  }

  async #goOffline(): Promise<void> {
    const label = this.#offline.textContent;
    const endMs = performance.now() + OFFLINE_MS;
    const show = () => {
      this.#offline.textContent = `Offline for ${Math.ceil((endMs - performance.now()) / 1_000)} s`;
    };
    const timer = setInterval(show, 1_000);
    show();
    await this.#options.network.goOffline(OFFLINE_MS);
    clearInterval(timer);
    this.#offline.textContent = label;
  }

  /** A dialog of this kind stops all of the page's JavaScript, as a frozen tab or a laptop that sleeps does. */
  #freeze(): void {
    const { log } = this.#options;
    const startedMs = performance.now();
    window.alert('This page is frozen: nothing in it runs until you close this box. The gateway and other tabs go on.');
    log.add(`The page was frozen for ${duration(performance.now() - startedMs)}`);
  }

  #needLogin(target: HTMLButtonElement, isPossible: boolean): void {
    const hasLogin = this.#loginId !== undefined;
    target.disabled = !hasLogin || !isPossible;
    target.title = hasLogin ? '' : NEEDS_LOGIN;
  }
}

import type { LoginClient } from '../client/login/index.js';
import { element } from './elements.js';
import type { EventLog } from './event-log.js';
import { logIn, logOut, type Person } from './person.js';

export interface LoginPanelOptions {
  login: LoginClient;
  person: Person;
  /** Whether there are logins to be had. */
  canLogIn: boolean;
  log: EventLog;
  /** Gives the session up, which is one person's and not the next one's. */
  leave(): Promise<void>;
}

/** Starts the form in which a visitor says a name, and the button to be nobody again. A change loads the page anew. */
export function startLoginPanel({ login, person, canLogIn, log, leave }: LoginPanelOptions): void {
  const change = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      log.add(error instanceof Error ? error.message : String(error), 'problem');
      return;
    }
    await leave();
    location.reload();
  };
  element<HTMLFormElement>('login').addEventListener('submit', (event) => {
    event.preventDefault();
    void change(() => logIn(login, element<HTMLInputElement>('name').value));
  });
  element('log-out').addEventListener('click', () => void change(() => logOut(login)));
  // Another tab logged out, or the gateway ended the login.
  person.login?.on('ended', ({ reason }) => {
    if (reason === 'logout') log.add('Logged out');
    else log.add(`Logged out by the gateway (${reason})`, 'problem');
    show({}, 'Logged out');
  });
  element('login').hidden = !canLogIn && person.login === undefined;
  show(person, 'Anonymous');
}

function show({ login, info }: Person, nobody: string): void {
  const isNobody = login === undefined;
  element('login-label').textContent = isNobody ? nobody : `Logged in as ${info?.principal ?? 'somebody'}`;
  for (const id of ['name', 'log-in']) element(id).hidden = !isNobody;
  element<HTMLInputElement>('name').required = isNobody;
  element('log-out').hidden = isNobody;
}

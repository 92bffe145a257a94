/** The page of `holdfast dev` and `npm run cluster`: one session, driven and broken from as many tabs as one likes. */
import { createClient, isSubscribed, type Session, type TokenStorage } from '../client/index.js';
import { createLogin } from '../client/login/index.js';
import { isSessionId } from '../protocol/session-id.js';
import { Chat } from './chat.js';
import { button, element } from './elements.js';
import { EventLog } from './event-log.js';
import { Facts } from './facts.js';
import { FaultPanel } from './fault-panel.js';
import { FaultyNetwork } from './faulty-network.js';
import { startLoginPanel } from './login-panel.js';
import { clicks } from './on-click.js';
import { OwnershipPanel } from './ownership-panel.js';
import { whoIsHere } from './person.js';
import { capabilities } from './playground.js';
import { logSession } from './session-events.js';
import { asksForLogin, describeConnection, describeProblem } from './words.js';

/** Undefined where the browser's settings forbid it. */
function tabStorage(): TokenStorage | undefined {
  try {
    return window.sessionStorage;
  } catch {
    return undefined;
  }
}

function sessionIdInUrl(): string {
  try {
    const id = decodeURIComponent(location.hash.slice(1));
    return isSessionId(id) ? id : 'demo:1';
  } catch {
    return 'demo:1';
  }
}

function gatewayUrl(): string {
  const url = new URL('v1/connect', new URL('.', location.href));
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

const sessionId = sessionIdInUrl();
const log = new EventLog(element('log'));
const network = new FaultyNetwork();
const login = createLogin({ fetch: network.fetch });
const [person, can] = await Promise.all([whoIsHere(login), capabilities()]);
const storage = tabStorage();
const client = createClient({
  url: gatewayUrl(),
  WebSocket: network.WebSocket,
  ...(storage !== undefined && { storage }),
  ...(person.login !== undefined && { login: person.login }),
});

const logProblem = (error: unknown) => log.add(describeProblem(error), 'problem');
const onClick = clicks(logProblem, render);
const facts = new Facts(client, person.login, person.info?.expires_at);
const ownership = new OwnershipPanel({ client, session: () => session, subscribeAgain, onClick });
const faults = new FaultPanel({
  client,
  network,
  log,
  login: person.login,
  loginId: person.info?.login_id,
  canKillNode: can.killNode,
  onClick,
});
startLoginPanel({ login, person, canLogIn: can.logins, log, leave });
let session = subscribe();
const chat = new Chat(
  session,
  {
    list: element('transcript'),
    scroller: element('chat-scroll'),
    form: element<HTMLFormElement>('chat'),
    prompt: element<HTMLInputElement>('prompt'),
    send: button('send'),
    stop: button('stop'),
    agent: element('agent'),
    position: element('position'),
  },
  logProblem,
);

function subscribe(): Session {
  const subscribed = client.session(sessionId, { since: 'oldest' });
  logSession(subscribed, log, logProblem);
  subscribed.on('state', () => {
    ownership.showGrace(subscribed);
    render();
  });
  subscribed.on('presence', ({ count }) => facts.showPresence(count));
  return subscribed;
}

function subscribeAgain(): void {
  session = subscribe();
  chat.follow(session);
}

async function leave(): Promise<void> {
  if (isSubscribed(session.state)) await session.unsubscribe().catch(() => {});
}

function render(): void {
  ownership.render();
  facts.render(session);
  faults.render();
}

client.on('connection', (state) => {
  const text = describeConnection(state);
  if (text !== undefined) log.add(text, state.name === 'stopped' ? 'problem' : 'note');
  // The close says that the login is over; asking for it makes the page's other tabs know as well.
  if (state.name === 'stopped' && asksForLogin(state.code)) person.login?.me().catch(() => {});
  render();
});
client.on('error', logProblem);
window.addEventListener('offline', () => {
  log.add('The network is gone', 'problem');
  render();
});
window.addEventListener('online', () => {
  log.add('The network is back', 'good');
  render();
});
window.addEventListener('hashchange', () => location.reload());

element('session-id').textContent = sessionId;
element<HTMLAnchorElement>('second-tab').href = `#${sessionId}`;
if (location.hash === '') history.replaceState(null, '', `#${sessionId}`);
render();

/** The page of `holdfast dev`: one session, seen and driven from as many tabs as one likes. */
import { ClientError, createClient, isSubscribed, type Session, type TokenStorage } from '../client/index.js';
import { isSessionId } from '../protocol/session-id.js';
import { Chat } from './chat.js';
import { Countdown } from './countdown.js';
import { logIn, logOut, type Person, whoIsHere } from './person.js';
import { describe, describeConnection, REASONS } from './words.js';

const MAX_LOG_ENTRIES = 200;

function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as T;
}

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

const button = (id: string) => element<HTMLButtonElement>(id);
const buttons = {
  claim: button('claim'),
  force: button('force'),
  release: button('release'),
  unsubscribe: button('unsubscribe'),
  drop: button('drop'),
  away: button('away'),
};
const chatElements = {
  list: element('transcript'),
  scroller: element('chat-scroll'),
  form: element<HTMLFormElement>('chat'),
  prompt: element<HTMLInputElement>('prompt'),
  send: button('send'),
  stop: button('stop'),
  agent: element('agent'),
  position: element('position'),
};
const countdown = new Countdown({
  box: element('grace'),
  bar: element<HTMLProgressElement>('grace-bar'),
  left: element('grace-left'),
});

const sessionId = sessionIdInUrl();
const storage = tabStorage();
const person = await whoIsHere();
const client = createClient({
  url: gatewayUrl(),
  ...(storage !== undefined && { storage }),
  ...(person.login !== undefined && { login: person.login }),
});
let session = subscribe();
const chat = new Chat(session, chatElements, logProblem);

function log(text: string, isProblem = false): void {
  const list = element('log');
  const entry = document.createElement('li');
  const time = document.createElement('time');
  const now = new Date();
  time.dateTime = now.toISOString();
  time.textContent = now.toTimeString().slice(0, 8);
  const words = document.createElement('span');
  words.textContent = text;
  if (isProblem) words.className = 'problem';
  entry.append(time, words);
  list.prepend(entry);
  while (list.childElementCount > MAX_LOG_ENTRIES) list.lastElementChild?.remove();
}

function logProblem({ code, message }: ClientError): void {
  log(`${code}: ${message}`, true);
}

function subscribe(): Session {
  const subscribed = client.session(sessionId, { since: 'oldest' });
  subscribed.on('state', ({ state, previous }) => {
    showGrace(subscribed);
    render();
    if (state.name === 'owner' && previous.name !== 'owner')
      log(`You are the owner, epoch ${state.ownership.ownerEpoch}`);
    if (previous.name === 'owner' && isSubscribed(state)) log('You are no longer the owner');
  });
  subscribed.on('ownership', ({ ownership, reason }) => {
    log(`Session ${ownership.state}: ${REASONS[reason] ?? reason} (rev ${ownership.rev})`);
  });
  subscribed.on('reset', ({ offset }) => log(`What came before offset ${offset} is no longer all there`, true));
  subscribed.on('lagged', ({ offset }) => log(`This tab reads too slowly: catching up from offset ${offset}`));
  subscribed.on('presence', ({ event, count, members }) => {
    element('presence').hidden = false;
    element('here').textContent = String(count);
    const names = (members ?? []).map(({ principal }) => principal).join(', ');
    if (event !== 'present') log(`${names === '' ? 'Somebody' : names} ${event}`);
  });
  subscribed.on('error', logProblem);
  return subscribed;
}

/** The gateway's clock may differ from this machine's, so never more than the whole grace period is believed. */
function showGrace({ state }: Session): void {
  if (state.name === 'held_by_other') {
    const { until = 0, graceMs } = state.ownership;
    countdown.start(Math.max(0, until - Date.now()), graceMs);
  } else if (state.name === 'reconnecting' && state.wasOwner) {
    const { graceMs } = state.ownership;
    countdown.start(graceMs, graceMs, () => {
      element('detail').textContent = 'The grace period is over: whoever comes next may have the session.';
    });
  } else countdown.stop();
}

function render(): void {
  const { state } = session;
  const isAway = client.connection.name === 'paused';
  const code = client.connection.name === 'stopped' ? client.connection.code : undefined;
  const { headline, detail } = describe(state, isAway, code);
  element('status').dataset['state'] = state.name;
  element('headline').textContent = headline;
  element('detail').textContent = detail;
  document.title = `${headline} · ${sessionId}`;

  const ownership = 'ownership' in state ? state.ownership : undefined;
  element('epoch').textContent = ownership === undefined ? '–' : String(ownership.ownerEpoch);
  element('rev').textContent = ownership === undefined ? '–' : String(ownership.rev);
  const welcome = client.connection.name === 'open' ? client.connection.welcome : undefined;
  element('connection').textContent = welcome?.connection_id ?? '–';
  element('node').textContent = welcome?.node ?? '–';

  const owns = state.name === 'owner' || state.name === 'unconfirmed';
  const subscribed = isSubscribed(state);
  buttons.claim.disabled = !subscribed || owns || ownership?.state !== 'free';
  buttons.force.disabled = !subscribed || owns || ownership?.state === 'free';
  buttons.release.disabled = !owns;
  buttons.unsubscribe.disabled = !subscribed && state.name !== 'stopped';
  buttons.unsubscribe.textContent = state.name === 'stopped' ? 'Subscribe' : 'Unsubscribe';
  buttons.drop.disabled = client.connection.name !== 'open';
  buttons.away.textContent = isAway ? 'Come back' : 'Stay away';
  buttons.away.classList.toggle('quiet', !isAway);
}

/** Runs what the person asked for; what the gateway refuses goes into the log. */
function onClick(target: HTMLButtonElement, action: () => Promise<void> | void): void {
  target.addEventListener('click', async () => {
    try {
      await action();
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      logProblem(error);
    }
    render();
  });
}

onClick(buttons.claim, () => session.claim());
onClick(buttons.force, () => session.claim({ force: true }));
onClick(buttons.release, () => session.release());
onClick(buttons.unsubscribe, () => {
  if (session.state.name !== 'stopped') return session.unsubscribe();
  session = subscribe();
  chat.follow(session);
});
onClick(buttons.drop, () => client.reconnect());
onClick(buttons.away, () => (client.connection.name === 'paused' ? client.resume() : client.pause()));

client.on('connection', (state) => {
  const text = describeConnection(state);
  if (text !== undefined) log(text, state.name === 'stopped');
  render();
});
client.on('error', logProblem);
window.addEventListener('hashchange', () => location.reload());

/** The session of one person is not the next one's: it is given up first. */
async function changePerson(change: () => Promise<void>): Promise<void> {
  try {
    await change();
  } catch (error) {
    log(error instanceof Error ? error.message : String(error), true);
    return;
  }
  if (isSubscribed(session.state)) await session.unsubscribe().catch(() => {});
  location.reload();
}

function showPerson({ login, name = 'somebody' }: Person, nobody = 'Anonymous'): void {
  const isNobody = login === undefined;
  element('login-label').textContent = isNobody ? nobody : `Logged in as ${name}`;
  for (const id of ['name', 'log-in']) element(id).hidden = !isNobody;
  element<HTMLInputElement>('name').required = isNobody;
  element('log-out').hidden = isNobody;
}

element<HTMLFormElement>('login').addEventListener('submit', (event) => {
  event.preventDefault();
  void changePerson(() => logIn(element<HTMLInputElement>('name').value));
});
element('log-out').addEventListener('click', () => void changePerson(logOut));
// Another tab logged out, or the gateway ended the login.
person.login?.on('ended', ({ reason }) => {
  log(`Logged out: ${reason}`, reason !== 'logout');
  showPerson({}, 'Logged out');
});
showPerson(person);

element('session-id').textContent = sessionId;
element<HTMLAnchorElement>('second-tab').href = `#${sessionId}`;
if (location.hash === '') history.replaceState(null, '', `#${sessionId}`);
render();

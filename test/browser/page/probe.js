/**
 * A page as an application would write it, that tells the test all that it hears. Its address says what it does:
 * `session`, and with `code` it logs in first. With `upstream` it asks for what pages ask for when they load, twice, as
 * doubled effects do.
 */
const { createClient, createLogin } = globalThis.Holdfast;
const address = new URL(location.href);
const asked = address.searchParams;
/** ms since 1970 by a clock that nothing sets. */
const now = () => performance.timeOrigin + performance.now();
const told = (type, about = {}) => globalThis.tell({ type, atMs: now(), ...about });
const failed = (where) => (error) => told('error', { where, code: error.code, text: error.message });

addEventListener('unhandledrejection', ({ reason }) => failed('unhandled')(reason));
addEventListener('error', ({ error }) => failed('uncaught')(error));
addEventListener('pageshow', ({ persisted }) => told('shown', { persisted }));
addEventListener('storage', ({ key }) => told('storage', { key }));

const login = createLogin();
login.on('ended', ({ reason }) => told('login-ended', { reason }));
const code = asked.get('code');
if (code !== null) {
  login.exchange(code).catch(failed('exchange'));
  asked.delete('code');
  history.replaceState(null, '', address);
}
if (asked.has('upstream')) {
  for (let effect = 0; effect < 2; effect += 1) {
    login.refresh().catch(failed('refresh'));
    login.upstream().then(() => told('upstream'), failed('upstream'));
  }
}

const url = `${location.origin.replace('http', 'ws')}/v1/connect`;
const client = createClient({ url, login, storage: sessionStorage });
client.on('error', failed('client'));
client.on('connection', ({ name, code: closeCode, welcome }) => {
  told('connection', { name, code: closeCode, node: welcome?.node });
});
const session = client.session(asked.get('session'), { since: 'oldest' });
session.on('error', failed('session'));
session.on('state', ({ state }) => told('state', { name: state.name, epoch: state.ownership?.ownerEpoch }));
session.on('message', ({ offset, data }) => told('message', { offset, data }));
session.on('reset', ({ offset }) => told('reset', { offset }));

let ticks = 0;
setInterval(() => {
  ticks += 1;
}, 100);
let numbered = 0;
let talking;
globalThis.probe = {
  client,
  session,
  login,
  /** Sends 0, 1, 2 … until `hush`. */
  talk(everyMs) {
    talking = setInterval(() => {
      const number = numbered;
      numbered += 1;
      session.send(number).then(({ offset }) => told('sent', { offset, data: number }), failed('send'));
    }, everyMs);
  },
  /** @returns how many were sent */
  hush() {
    clearInterval(talking);
    return numbered;
  },
  /** How often a timer of 100 ms has fired. */
  ticks: () => ticks,
  /** The wall clock is found ahead by so much, as after a sleep that other clocks did not see. */
  jumpClock(ms) {
    const wallMs = Date.now;
    Date.now = () => wallMs() + ms;
  },
};

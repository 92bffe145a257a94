/**
 * An application that logs people in with its own form, and leaves it to Holdfast that they stay logged in. Its page
 * talks to the gateway directly, which works where both are on one site, such as `app.example.com` and
 * `gateway.example.com`. `npx tsx examples/login-form/server.ts`; docs/login.md explains each step.
 */
import { timingSafeEqual } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import express, { type ErrorRequestHandler } from 'express';
import { createBackend, HoldfastError } from 'holdfast/server';

const { GATEWAY_URL = 'http://127.0.0.1:8080', HOLDFAST_API_KEY = '', HOST = '127.0.0.1', PORT = '3000' } = process.env;
const CLIENT = resolve(import.meta.dirname, '../../dist/packages/holdfast-client');

const backend = createBackend({ url: GATEWAY_URL, apiKey: HOLDFAST_API_KEY });

/** Stands for your own check of who it is. */
function isPassword(name: string, password: string): boolean {
  const [given, right] = [Buffer.from(password), Buffer.from('holdfast')];
  return name !== '' && given.length === right.length && timingSafeEqual(given, right);
}

const app = express();
app.get('/', (_request, response) => response.sendFile(join(import.meta.dirname, 'index.html')));
app.get('/settings', (_request, response) => void response.json({ gateway: GATEWAY_URL }));
app.use('/holdfast-client', express.static(CLIENT));

app.post('/login', express.json(), async (request, response) => {
  const { name, password } = request.body as { name?: unknown; password?: unknown };
  if (typeof name !== 'string' || typeof password !== 'string' || !isPassword(name, password)) {
    response.status(401).json({ error: 'Wrong name or password' });
    return;
  }
  const { origin } = request.headers;
  const { login_code } = await backend.createLogin({
    principal: name,
    rights: [{ sessions: 'room:*', allow: ['watch', 'own', 'send', 'signal'] }],
    // Only the page that asked may exchange the code.
    ...(origin !== undefined && { origin }),
  });
  response.set('Cache-Control', 'no-store').json({ login_code });
});

const onError: ErrorRequestHandler = (error: unknown, _request, response, _next) => {
  const known = error instanceof HoldfastError ? error : undefined;
  console.error(`${known?.code ?? 'internal'}: ${(error as Error).message}`);
  response.status(known?.retryable === true ? 503 : 500).json({ error: 'Logging in does not work at the moment' });
};
app.use(onError);

const server = app.listen(Number(PORT), HOST, (error) => {
  if (error !== undefined) throw error;
  console.log(`The application: http://${HOST}:${(server.address() as AddressInfo).port}/`);
});

/**
 * An agent behind the gateway: its words go from this process into a session, to everybody who watches it.
 * `npx tsx examples/agent/server.ts`; docs/messages.md explains each step.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import express from 'express';
import { createBackend, createPublisher } from 'holdfast/server';

const { GATEWAY_URL = 'http://127.0.0.1:8080', HOLDFAST_API_KEY = '', HOST = '127.0.0.1', PORT = '3000' } = process.env;
const CLIENT = resolve(import.meta.dirname, '../../dist/packages/holdfast-client');
const SESSION = 'agent:1';

const publisher = createPublisher(createBackend({ url: GATEWAY_URL, apiKey: HOLDFAST_API_KEY }));

/** Stands for your language model. */
async function* wordsAbout(prompt: string): AsyncGenerator<string> {
  const answer = `You said: ${prompt}. Reload this page, or open it twice: every word is there, once, in order.`;
  for (const word of answer.split(/(?<= )/)) {
    await delay(50);
    yield word;
  }
}

/** Not waited for: the publisher keeps the order, and sends together what comes while a request is under way. */
function say(data: { prompt: string } | { word: string }): void {
  publisher.publish(SESSION, { data }).catch((error: Error) => console.error(error.message));
}

let isAnswering = false;

async function answer(prompt: string): Promise<void> {
  isAnswering = true;
  say({ prompt });
  for await (const word of wordsAbout(prompt)) say({ word });
  isAnswering = false;
}

const app = express();
app.get('/', (_request, response) => response.sendFile(join(import.meta.dirname, 'index.html')));
app.get('/settings', (_request, response) => void response.json({ gateway: GATEWAY_URL, session: SESSION }));
app.use('/holdfast-client', express.static(CLIENT));

app.post('/ask', express.json(), (request, response) => {
  const { prompt } = request.body as { prompt?: unknown };
  if (typeof prompt !== 'string') {
    response.status(400).json({ error: 'There is no prompt' });
    return;
  }
  // The session is one conversation.
  if (isAnswering) {
    response.status(409).json({ error: 'One after the other' });
    return;
  }
  void answer(prompt);
  response.sendStatus(202);
});

const server = app.listen(Number(PORT), HOST);
await once(server, 'listening');
console.log(`The application: http://${HOST}:${(server.address() as AddressInfo).port}/`);

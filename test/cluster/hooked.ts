import { afterAll, beforeEach } from 'vitest';
import { Application, HOOK_SECRET } from '../support/application.js';

const ALL = ['watch', 'own', 'send', 'signal'];
/** The application behind the nodes of a file's cluster. Before each test it agrees to everything. */
export const application = new Application();

/** Nodes whose rights, messages and events all go to the application. */
export async function hooked(...more: string[]) {
  await application.start();
  const args = [
    ['--access', 'rules'],
    ['--authorize-url', `${application.url}/authorize`],
    ['--message-url', `${application.url}/message`],
    ['--events-url', `${application.url}/events`],
    ['--hook-timeout-ms', '500'],
    more,
  ].flat();
  return { nodes: 3, graceMs: 1_500, args, env: { HOLDFAST_HOOK_SECRET: HOOK_SECRET } };
}

afterAll(() => application.stop());

export function resetAnswers(): void {
  application.answers.clear();
  application.on('/authorize', () => ({ allow: ALL, ttl_ms: 60_000 }));
  application.on('/message', () => ({ accept: true }));
}

beforeEach(resetAnswers);

import { act, type ReactNode } from 'react';
import { createRoot, hydrateRoot, type Root } from 'react-dom/client';
import { renderToString } from 'react-dom/server';
import { afterEach, beforeEach, expect, type Mock, vi } from 'vitest';
import { type Client, createClient } from '../../../src/client/index.js';
import { HoldfastProvider } from '../../../src/client/react/index.js';
import type { SubscribeAck } from '../../../src/protocol/messages.js';
import { FakeGateway } from '../fake-gateway.js';

export let gateway: FakeGateway;
/** What a page gives the provider. */
export let makeClient: Mock<() => Client>;
/** What React or the code complained about; must stay empty. */
export let complaints: string[];

const roots: Root[] = [];

/** A page of its own. With what React has to do for it done, as with each call here. */
export async function show(content: ReactNode, page = newPage()): Promise<Page> {
  await page.show(content);
  return page;
}

/** A page that begins with what a server made of it. */
export async function hydrate(content: ReactNode): Promise<Page> {
  const element = newElement();
  element.innerHTML = renderToString(content);
  expect(makeClient).not.toHaveBeenCalled();
  const root = await act(async () => hydrateRoot(element, content));
  await pass();
  return newPage(element, root);
}

const newElement = () => document.body.appendChild(document.createElement('div'));

function newPage(element = newElement(), root = createRoot(element)): Page {
  roots.push(root);
  return new Page(root, element);
}

export class Page {
  readonly element: HTMLElement;
  readonly #root: Root;

  constructor(root: Root, element: HTMLElement) {
    this.#root = root;
    this.element = element;
  }

  get text(): string {
    return this.element.textContent ?? '';
  }

  async show(content: ReactNode): Promise<void> {
    await act(async () => this.#root.render(content));
    await pass();
  }

  async leave(): Promise<void> {
    await act(async () => this.#root.unmount());
  }

  async press(name: string): Promise<void> {
    const button = Array.from(this.element.querySelectorAll('button')).find(({ textContent }) => textContent === name);
    if (button === undefined) throw new Error(`no button ${name}`);
    await act(async () => button.click());
  }
}

/** `content` below a provider. */
export const provided = (content: ReactNode, client: Client | (() => Client) = makeClient) => (
  <HoldfastProvider client={client}>{content}</HoldfastProvider>
);

/** Lets microtasks run, and timers for that long. */
export async function pass(ms = 0): Promise<void> {
  await act(async () => {
    await vi.advanceTimersByTimeAsync(ms);
  });
}

/** Does something from outside of React, and lets React follow. */
export async function happen(what: () => void): Promise<void> {
  await act(async () => what());
  await pass();
}

/** The gateway accepts the newest connection and answers what it is asked on it. */
export async function answer(ack: Partial<SubscribeAck> = {}): Promise<void> {
  await happen(() => gateway.socket.welcome());
  await acknowledge(ack);
}

export const acknowledge = (ack: Partial<SubscribeAck> = {}) => happen(() => gateway.socket.acknowledge(ack));

/** From the gateway, to session `id`. */
export function deliver(id: string, offset: number, data: unknown): void {
  gateway.socket.receive({ type: 'message', session_id: id, offset, at: 0, data });
}

/** How often each session was asked for on the newest connection. */
export function subscribed(): string[] {
  return gateway.socket.all('subscribe').flatMap(({ sessions }) => sessions.map(({ session_id }) => session_id));
}

export function unsubscribed(): string[] {
  return gateway.socket.all('unsubscribe').map(({ session_id }) => session_id);
}

export async function acknowledgeUnsubscribe(): Promise<void> {
  const { id, session_id } = gateway.socket.last('unsubscribe');
  await happen(() => gateway.socket.receive({ type: 'unsubscribe_ack', session_id, ...(id !== undefined && { id }) }));
}

beforeEach(() => {
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true);
  vi.useFakeTimers();
  gateway = new FakeGateway();
  makeClient = vi.fn(() => createClient({ url: 'ws://gateway.test/v1/connect', WebSocket: gateway.WebSocket }));
  complaints = [];
  vi.spyOn(console, 'error').mockImplementation((...words) => void complaints.push(words.join(' ')));
});

afterEach(async () => {
  for (const root of roots.splice(0)) await act(async () => root.unmount());
  await pass(1);
  const clients = makeClient.mock.results.flatMap(({ type, value }) => (type === 'return' ? [value] : []));
  expect(clients.map(({ connection }) => connection.name)).toEqual(clients.map(() => 'stopped'));
  expect(vi.getTimerCount()).toBe(0);
  expect(complaints).toEqual([]);
  document.body.replaceChildren();
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

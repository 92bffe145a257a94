/** @throws Error when the page has no such element */
export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as T;
}

export const button = (id: string): HTMLButtonElement => element<HTMLButtonElement>(id);

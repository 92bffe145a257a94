/** Whose request it is, behind any number of proxies, and how many connections that address has. */
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

/**
 * @param proxies addresses or CIDR blocks
 * @returns undefined when there are none
 * @throws RangeError for one that is neither
 */
export function trustedProxies(proxies: readonly string[]): BlockList | undefined {
  if (proxies.length === 0) return undefined;
  const list = new BlockList();
  for (const proxy of proxies) {
    const [address = '', bits] = proxy.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    const maxBits = family === 'ipv6' ? 128 : 32;
    if (isIP(address) === 0 || (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= maxBits))) {
      throw new RangeError(`${JSON.stringify(proxy)} is neither an IP address nor a CIDR block`);
    }
    list.addSubnet(address, bits === undefined ? maxBits : Number(bits), family);
  }
  return list;
}

/** IPv4 behind an IPv6 socket (`::ffff:192.0.2.1`) is IPv4. */
function plain(address: string): string {
  return address.toLowerCase().startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}

/**
 * The nearest address that is not a trusted proxy's: from the socket, then through X-Forwarded-For from the right,
 * since everything left of the first untrusted hop is that hop's to invent.
 */
export function clientAddress(request: IncomingMessage, trusted: BlockList | undefined): string {
  let address = plain(request.socket.remoteAddress ?? '');
  if (trusted === undefined) return address;
  const hops = String(request.headers['x-forwarded-for'] ?? '').split(',');
  while (hops.length > 0 && isIP(address) !== 0 && trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')) {
    const hop = plain((hops.pop() ?? '').trim());
    if (isIP(hop) === 0) break;
    address = hop;
  }
  return address;
}

/** What a limit counts by: an IPv4 address, or an IPv6 /64, of which a single host has all addresses. */
export function addressKey(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = new URL(`http://[${address.replace(/%.*/, '')}]`).hostname.slice(1, -1).split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`;
}

export interface AddressSlot {
  readonly key: string;
  connections: number;
}

/** Connections per address. Holds an entry only for an address that has some. */
export class AddressLimit {
  readonly #slots = new Map<string, AddressSlot>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  /** @returns undefined when the address has as many as it may */
  enter(address: string): AddressSlot | undefined {
    const key = addressKey(address);
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = { key, connections: 0 };
      this.#slots.set(key, slot);
    }
    if (slot.connections >= this.#max) return undefined;
    slot.connections += 1;
    return slot;
  }

  leave(slot: AddressSlot): void {
    slot.connections -= 1;
    if (slot.connections === 0) this.#slots.delete(slot.key);
  }
}

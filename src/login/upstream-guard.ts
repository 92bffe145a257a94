/** Keeps requests to providers from reaching this machine or its network (server-side request forgery). */
import { lookup as resolve } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** The address is not one that a request may go to. */
export class ForbiddenAddressError extends Error {
  override readonly name = 'ForbiddenAddressError';
}

/** IANA's special-purpose registry: what is not globally reachable, and what leads to IPv4 by another name. */
const FORBIDDEN_IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];
const GLOBAL_IPV6 = ['2000::/3'];
const FORBIDDEN_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];

const forbiddenIpv4 = blockList('ipv4', FORBIDDEN_IPV4);
const globalIpv6 = blockList('ipv6', GLOBAL_IPV6);
const forbiddenIpv6 = blockList('ipv6', FORBIDDEN_IPV6);
const loopbackIpv4 = blockList('ipv4', ['127.0.0.0/8']);
const loopbackIpv6 = blockList('ipv6', ['::1/128']);

function blockList(family: 'ipv4' | 'ipv6', subnets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [network = '', bits] = subnet.split('/');
    list.addSubnet(network, Number(bits), family);
  }
  return list;
}

/**
 * Whether a request may go to this IP address: a global one, or with `allowLoopback` one of this machine. IPv6 that
 * embeds IPv4 (mapped, translated, 6to4, Teredo) is none of them.
 */
export function isAllowedAddress(address: string, allowLoopback: boolean): boolean {
  if (isIP(address) === 4) {
    return !forbiddenIpv4.check(address) || (allowLoopback && loopbackIpv4.check(address));
  }
  if (isIP(address) !== 6) return false;
  if (allowLoopback && loopbackIpv6.check(address, 'ipv6')) return true;
  return globalIpv6.check(address, 'ipv6') && !forbiddenIpv6.check(address, 'ipv6');
}

/**
 * A `lookup` for sockets that fails unless every address of the name is allowed. The socket connects to what was
 * checked, so a second answer of the DNS changes nothing. Sockets do not look IP addresses up: see `checkLiteral`.
 */
export function guardedLookup(allowLoopback: boolean): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error !== null || first === undefined) callback(error ?? new Error('the name has no address'), '');
      else if (!addresses.every(({ address }) => isAllowedAddress(address, allowLoopback))) {
        callback(new ForbiddenAddressError('the name leads to an address that is not public'), '');
      } else if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

/** @throws ForbiddenAddressError when the URL names an IP address that is not allowed */
export function checkLiteral({ hostname }: URL, allowLoopback: boolean): void {
  const host = hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && !isAllowedAddress(host, allowLoopback)) {
    throw new ForbiddenAddressError('the URL names an address that is not public');
  }
}

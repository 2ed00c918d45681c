// Client addresses against the ranges an operator allows a key to be used from.
import ipaddr from "ipaddr.js";

/** False for an address that is none, as in a local run, and for a range that cannot be read: an allow-list that errs lets nobody in. */
export function isAddressIn(address: string, ranges: readonly string[]): boolean {
  if (!ipaddr.isValid(address)) return false;
  const client = ipaddr.process(address);
  return ranges.some((range) => {
    if (!isAddressRange(range)) return false;
    const [network, bits] = parseRange(range);
    return network.kind() === client.kind() && client.match(network, bits);
  });
}

/** `203.0.113.7`, `203.0.113.0/24`, `2001:db8::/32`. IPv4 in four decimal parts only: `10/8` and `010.0.0.1` mean what nobody meant. */
export function isAddressRange(text: string): boolean {
  return text.includes("/")
    ? ipaddr.IPv4.isValidCIDRFourPartDecimal(text) || ipaddr.IPv6.isValidCIDR(text)
    : ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text);
}

function parseRange(range: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  if (range.includes("/")) return ipaddr.parseCIDR(range);
  const address = ipaddr.process(range);
  return [address, address.kind() === "ipv4" ? 32 : 128];
}

/**
 * Where a request comes from: the socket's address, or what a trusted proxy says of it. Of IPv6 the network, for whoever
 * has one address of it has them all (RFC 4291 §2.5.4: the first 64 bits).
 */
import type { IncomingMessage } from 'node:http'
import { isIPv6 } from 'node:net'

/** Addresses a proxy may name; more is nonsense. */
const CHAIN_MAX = 32

/**
 * `trustedHops`: so many proxies in front are believed. Each adds the address that it has seen to the end of
 * `X-Forwarded-For`; what stands before theirs was written by anybody.
 */
export function sourceOf(incoming: IncomingMessage, trustedHops: number): string {
  const own = incoming.socket.remoteAddress ?? 'unknown'
  if (trustedHops === 0) return networkOf(own)
  const field = incoming.headers['x-forwarded-for']
  const named = (Array.isArray(field) ? field.join(',') : (field ?? ''))
    .split(',')
    .slice(-CHAIN_MAX)
    .map((address) => address.trim())
    .filter((address) => address !== '' && address.length <= 64)
  return networkOf([...named, own].at(-1 - trustedHops) ?? named[0] ?? own)
}

function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  if (!isIPv6(address)) return address
  const [head = '', tail = ''] = address.split('::')
  const before = head.split(':').filter((group) => group !== '')
  const zeros = 8 - before.length - tail.split(':').length
  const groups = [...before, ...Array<string>(Math.max(0, zeros)).fill('0'), ...tail.split(':')].slice(0, 4)
  return `${groups.map((group) => parseInt(group, 16).toString(16)).join(':')}::/64`
}

/**
 * The systems of the benchmark `gate`: a request comes with a token, may it pass? All verify the signature,
 * issuer, audience and times, with a key that was read once; then ours asks its replica, and two of the others
 * ask Redis.
 *
 * What is timed begins at the parsed head of a request and ends at the verdict. No HTTP, no routing: with
 * them, each would mostly measure its framework (see the benchmark `http`).
 *
 * Each loads by itself what it measures, so that no process holds, or waits for, the libraries of the others.
 */
import type { Systems } from '../system.js'
import { ALGORITHMS } from '../tokens.js'
import { expressJwt } from './gate/express-jwt.js'
import { fastJwt } from './gate/fast-jwt.js'
import { fastifyJwt } from './gate/fastify-jwt.js'
import { jose } from './gate/jose.js'
import { rescind } from './gate/rescind.js'
import type { Open } from './gate/shared.js'

const IN_FLIGHT = 50

/** By the first part of the name. */
const OPENERS: Readonly<Record<string, Open>> = {
  rescind,
  'express-jwt+ioredis': expressJwt,
  '@fastify/jwt+ioredis': fastifyJwt,
  'fast-jwt': fastJwt,
  jose,
}

/** `NAME ALGORITHM first` and `NAME ALGORITHM cached`; `… first-1` with one request in flight. */
export const systems: Systems = Object.fromEntries(
  ALGORITHMS.flatMap((algorithm) =>
    Object.entries(OPENERS).flatMap(([name, open]): [string, Systems[string]][] => {
      // jsonwebtoken knows no EdDSA; jose remembers no token.
      if (name.startsWith('express-jwt') && algorithm === 'EdDSA') return []
      const first = (inFlight: number): Systems[string] => {
        return (shared) => open(shared, { algorithm, inFlight, tokens: 'first' })
      }
      return [
        [`${name} ${algorithm} first`, first(IN_FLIGHT)],
        ...(algorithm === 'ES256' && name !== 'fast-jwt'
          ? ([[`${name} ${algorithm} first-1`, first(1)]] as [string, Systems[string]][])
          : []),
        ...(name === 'jose'
          ? []
          : ([
              [
                `${name} ${algorithm} cached`,
                (shared) => open(shared, { algorithm, inFlight: IN_FLIGHT, tokens: 'cached' }),
              ],
            ] as [string, Systems[string]][])),
      ]
    }),
  ),
)

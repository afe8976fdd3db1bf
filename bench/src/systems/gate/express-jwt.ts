/**
 * The middleware of express-jwt, called as Express calls it, with a list in Redis. It remembers no token, so
 * one that comes again costs as much as before. jsonwebtoken is given a `KeyObject`: it would otherwise read
 * the key again each time.
 */
import { createPublicKey, createSecretKey } from 'node:crypto'
import type { NextFunction, Request, Response } from 'express'
import type { Shared, System } from '../../system.js'
import { AUDIENCE, ISSUER } from '../../tokens.js'
import { connected, type GateSetting, rawToken, requestHead, requestsOf, verifyingKeyOf } from './shared.js'

export async function expressJwt(shared: Shared, setting: GateSetting): Promise<System> {
  const { expressjwt } = await import('express-jwt')
  const { algorithm, inFlight } = setting
  if (algorithm === 'EdDSA') throw new Error('jsonwebtoken does not know EdDSA')
  const redis = await connected(shared)
  const key = verifyingKeyOf(shared, setting)
  const middleware = expressjwt({
    secret: algorithm === 'HS256' ? createSecretKey(Buffer.from(key)) : createPublicKey(key),
    algorithms: [algorithm],
    issuer: ISSUER,
    audience: AUDIENCE,
    isRevoked: async (request) => (await redis.exists(rawToken(request.headers))) === 1,
  })
  const requests = requestsOf(shared, setting)
  const response = {} as Response
  let list: Request[] = []
  return {
    inFlight,
    batchMax: requests.batchMax,
    prepare: (count) => {
      list = requests.next(count).map((value) => requestHead(value) as unknown as Request)
    },
    run: (index) =>
      new Promise<void>((resolve, reject) => {
        const next = ((error?: Error) => (error === undefined ? resolve() : reject(error))) as NextFunction
        void middleware(list[index] as Request, response, next)
      }),
    close: () => redis.quit(),
  }
}

import { createRequire } from 'node:module'
import { createServer, type RequestListener } from 'node:http'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { authOf, requireToken } from '../../src/adapters/express.js'
import type { Gate } from '../../src/gate.js'
import { makeIssuer } from '../support/issuer.js'
import { adapterContract, makeGate } from './contract.js'
import { ask, listen } from './http.js'

// Types of Express 5 for both: what the routes use is the same.
const express4 = createRequire(import.meta.url)('express4') as typeof express

const VERSIONS: [string, typeof express][] = [
  ['Express 5', express],
  ['Express 4', express4],
]

for (const [version, framework] of VERSIONS) {
  adapterContract(
    `rescind/express on ${version}`,
    (gate, ran) => {
      const app = framework()
      app.get('/open', (_req, res) => void res.json({ open: true }))
      const sub: express.RequestHandler = (req, res) => {
        ran()
        res.json({ sub: req.auth?.claims.sub })
      }
      app.get('/protected', requireToken(gate), sub)
      app.get('/admin', requireToken(gate, { scope: 'admin' }), sub)
      app.get('/query', requireToken(gate, { tokenFrom: ['header', 'query'] }), sub)
      const parser = framework.urlencoded({ extended: true })
      app.post('/form', parser, requireToken(gate, { tokenFrom: ['header', 'form'] }), (req, res) => {
        ran()
        res.json({ sub: req.auth?.claims.sub, note: (req.body as { note?: string } | undefined)?.note })
      })
      app.post('/logout', requireToken(gate), (req, res, next) => {
        ran()
        gate.manager.revokeToken(authOf(req)).then(() => res.status(204).end(), next)
      })
      return listen(createServer(app as RequestListener))
    },
    { options: 200, answersFailures: true },
  )

  describe(`rescind/express on ${version}`, () => {
    it('guards a whole router, whose paths do not matter to the query', async () => {
      const issuer = await makeIssuer()
      const router = framework.Router()
      router.use(requireToken(makeGate(issuer), { tokenFrom: ['query'] }))
      router.get('/me', (req, res) => void res.json({ sub: req.auth?.claims.sub }))
      const served = await listen(createServer(framework().use('/api', router) as RequestListener))
      const denied = await ask(`${served.url}/api/me`)
      const allowed = await ask(`${served.url}/api/me?access_token=${await issuer.sign()}`)
      await served.close()
      expect([denied.status, allowed.status]).toEqual([401, 200])
    })

    it('hands failures on to next', async () => {
      const failing = { check: async () => Promise.reject(new Error('the gate failed')) } as unknown as Gate
      const app = framework()
      app.get('/', requireToken(failing), (_req, res) => void res.json({ reached: true }))
      const answerFailure: express.ErrorRequestHandler = (error: Error, _req, res, _next) => {
        res.status(500).json({ failure: error.message })
      }
      app.use(answerFailure)
      const served = await listen(createServer(app as RequestListener))
      const answer = await ask(served.url)
      await served.close()
      expect(answer).toMatchObject({ status: 500, body: '{"failure":"the gate failed"}' })
    })
  })
}

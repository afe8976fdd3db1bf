/** What a decorated method keeps, in either dialect. The classes come from the test of the dialect. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { type TokenDecorator, tokenDecorator } from '../../src/adapters/decorators.js'
import type { Policy } from '../../src/gate.js'
import { type Issuer, makeIssuer } from '../support/issuer.js'
import { makeGate } from './contract.js'

type FetchMethod = (request: Request, ...rest: unknown[]) => Promise<Response>
type NodeMethod = (req: IncomingMessage, res: ServerResponse, ...rest: unknown[]) => Promise<unknown>

interface Whole {
  plain(request: Request): Promise<Response> | Response
  own(request: Request): Promise<Response> | Response
  readonly value: string
  [Symbol.iterator](): Generator<string>
}

export interface Decorated {
  readonly methods: { list: FetchMethod; handle: NodeMethod; fail: NodeMethod }
  readonly Methods: { shared(request: Request, one: string): Promise<Response> }
  readonly Whole: { new (): Whole; make(): Whole; readonly name: string }
  /** How many arguments a decorator of a method gets here: 2 in the dialect of TC39, 3 in the legacy one. */
  readonly argumentsOfMethod: number
  /** Each decorates something that cannot be decorated. */
  readonly wrongUses: readonly (() => unknown)[]
}

export function decoratorBehaviour(
  dialect: string,
  make: (requireToken: (policy?: Policy) => TokenDecorator) => Decorated,
): void {
  describe(`rescind/decorators (${dialect})`, () => {
    let issuer: Issuer
    let decorated: Decorated
    beforeAll(async () => {
      issuer = await makeIssuer()
      decorated = make(tokenDecorator(makeGate(issuer)))
    })
    const fetchRequest = async (claims = {}) =>
      new Request('http://api.example/', {
        headers: { authorization: `Bearer ${await issuer.sign(claims)}` },
      })
    const nodeRequest = async () =>
      ({ url: '/', headers: { authorization: `Bearer ${await issuer.sign()}` } }) as IncomingMessage
    const response = () => ({ setHeader: vi.fn(), end: vi.fn() }) as unknown as ServerResponse

    it('are compiled in this dialect', () => {
      expect(decorated.argumentsOfMethod).toBe(dialect === 'TC39' ? 2 : 3)
    })

    it('throw where they cannot protect anything: fields and accessors', () => {
      expect(decorated.wrongUses.length).toBeGreaterThan(1)
      for (const use of decorated.wrongUses) {
        expect(use).toThrow(expect.objectContaining({ code: 'ERR_OPTION_INVALID' }))
      }
    })

    it('keep `this`, every argument and the value that is returned', async () => {
      const { methods, Methods } = decorated
      expect(await (await methods.list(await fetchRequest(), 1, 'two')).json()).toEqual([
        'this one',
        1,
        'two',
      ])
      expect(await methods.handle(await nodeRequest(), response())).toBe('this one')
      expect(await (await Methods.shared(await fetchRequest(), 'one')).json()).toEqual(['one'])
    })

    it('keep name and number of parameters', () => {
      const { methods, Methods, Whole } = decorated
      const facts = (method: { name: string; length: number }) => [method.name, method.length]
      expect(facts(methods.list)).toEqual(['list', 1])
      expect(facts(methods.handle)).toEqual(['handle', 2])
      expect(facts(methods.fail)).toEqual(['fail', 3])
      expect(facts(Methods.shared)).toEqual(['shared', 2])
      expect(facts(Whole.prototype.plain as never)).toEqual(['plain', 1])
      expect(Whole.name).toBe('Whole')
      expect(Object.keys(Whole.prototype)).toEqual([])
    })

    it('hand failures to next where there is one, and otherwise to the caller', async () => {
      const next = vi.fn()
      await expect(decorated.methods.fail(await nodeRequest(), response(), next)).resolves.toBeUndefined()
      expect(next.mock.calls).toEqual([[new Error('the handler failed')]])
      await expect(decorated.methods.fail(await nodeRequest(), response())).rejects.toThrow(
        'the handler failed',
      )
    })

    it.each([
      ['nothing', []],
      ['a text', ['alice']],
      ['a request of Node without a response', [{ url: '/', headers: {} }]],
      ['a response first', [{ setHeader: () => undefined, end: () => undefined }, {}]],
      ['null', [null, null]],
    ])('throw when they are called with %s', (_, args) => {
      const { list } = decorated.methods
      const call = () => (list as (...args: unknown[]) => unknown)(...args)
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_OPTION_INVALID' }))
      expect(call).toThrow(/^list needs a token/)
    })

    it('of a class cover its methods, but for those with a policy of their own', async () => {
      const whole = new decorated.Whole()
      const statusOf = async (method: 'plain' | 'own', claims: object) =>
        (await whole[method](await fetchRequest(claims))).status
      expect(await statusOf('plain', { scope: 'class' })).toBe(200)
      expect(await statusOf('plain', { scope: 'method' })).toBe(403)
      expect(await statusOf('own', { scope: 'method' })).toBe(200)
      expect(await statusOf('own', { scope: 'class' })).toBe(403)
    })

    it('of a class leave constructor, accessors, static methods and protocols of the language alone', () => {
      const whole = decorated.Whole.make()
      expect(whole).toBeInstanceOf(decorated.Whole)
      expect([whole.value, ...whole]).toEqual(['kept', 'kept'])
    })
  })
}

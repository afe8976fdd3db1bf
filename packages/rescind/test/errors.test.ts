/** An error as others see it: frameworks that answer it, loggers, and whoever compares it. */
import { inspect } from 'node:util'
import { expect, it } from 'vitest'
import { ERROR_CODES, type ErrorCode, RescindError } from '../src/errors.js'

const codes = Object.keys(ERROR_CODES) as ErrorCode[]

it('is 503 for frameworks where the store or the keys are to blame, and never for what the caller has written', () => {
  const passing = codes.filter((code) => new RescindError(code, 'x').statusCode === 503)
  expect(passing).toEqual([
    ...['ERR_KEYS_UNAVAILABLE', 'ERR_VERIFY_UNAVAILABLE'],
    ...['ERR_STORE_UNAVAILABLE', 'ERR_STORE_TIMEOUT', 'ERR_STORE_OVERLOADED', 'ERR_STORE_REFUSED'],
    ...['ERR_STORE_EVICTS', 'ERR_STORE_FULL', 'ERR_ACK_NOT_REACHED', 'ERR_REPLICA_STALE', 'ERR_CLOSED'],
  ])
  for (const code of codes) {
    const { status, statusCode, expose } = new RescindError(code, 'x')
    expect({ code, status, expose }).toEqual({
      code,
      status: statusCode,
      expose: statusCode === undefined ? undefined : false,
    })
  }
})

it('shows loggers its code and problems, and nothing of the answer', () => {
  const error = new RescindError('ERR_STORE_FULL', 'no room', { problems: ['one'], cause: new Error('why') })
  expect(JSON.stringify(error)).toBe(
    '{"name":"RescindError","code":"ERR_STORE_FULL","message":"no room","problems":["one"]}',
  )
  expect(Object.keys(error).sort()).toEqual(['code', 'name', 'problems'])
  expect(inspect(error)).not.toContain('503')
})

/** The commands that `npm start` prints are found, run in their order, and held against what they promise. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { commandsIn, expectAnswers } from '../printed-commands.js'

const PROMISED = [
  ...['GET /me', 'POST /logout', 'GET /me'],
  ...['POST /logout-everywhere', 'GET /me', 'GET /healthz'],
]
const PROMISED_LATER = ['POST /api/v1/revocations', 'GET /me']

/** Answers as the example does, but for a log-out that is forgotten where it is told to. */
let isForgetful = false
let isDead = false
const server = createServer(({ url = '' }, response) => {
  const isDenied = isDead && !isForgetful && url === '/me'
  response.statusCode = isDenied ? 401 : url.startsWith('/logout') ? 204 : 200
  response.end()
  isDead ||= url === '/logout'
})
let url: string
beforeAll(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.close()
})

const curl = (request: string) => {
  const [method, path] = request.split(' ')
  return `curl -s -i -X ${method} ${url}${path} -H "authorization: Bearer $TOKEN"`
}
const walk = (requests: readonly string[]) => {
  isDead = false
  return expectAnswers(['TOKEN=any', ...requests.map(curl)], { cwd: import.meta.dirname, env: process.env })
}

it('finds them between the sentences', () => {
  const output = `Rescind listens on ${url}\n\nLog in:\n\n  TOKEN=$(curl -s ${url}/login)\n  curl -i ${url}/me\n\nHealth, open to all:   curl -i ${url}/healthz\n`
  expect(commandsIn(output)).toEqual([
    `TOKEN=$(curl -s ${url}/login)`,
    `curl -i ${url}/me`,
    `curl -i ${url}/healthz`,
  ])
})

describe('the answers', () => {
  it('are those that are promised', async () => {
    const report = await walk([...PROMISED, ...PROMISED_LATER])
    expect(report).toHaveLength(8)
    expect(report[2]).toBe('GET /me → 401')
  })

  it('fail the walk where a token lives on after the log-out', async () => {
    isForgetful = true
    await expect(walk([...PROMISED, ...PROMISED_LATER])).rejects.toThrow('GET /me was answered 200')
    isForgetful = false
  })

  it('fail the walk where a command is new, or one is missing', async () => {
    await expect(walk([...PROMISED, 'GET /new'])).rejects.toThrow('GET /new was answered')
    await expect(walk(PROMISED)).rejects.toThrow('GET /me is not asked for')
  })
})

/** What of the Redis client the library uses, over a function that sends one command. */
import type { RedisClient } from '../../src/redis/client.js'
import type { Argument } from './model-commands.js'

export type Send = (name: string, parameters: readonly Argument[]) => Promise<unknown>

export function makeClient(send: Send): RedisClient {
  const client = new Proxy(
    {},
    {
      get: (_, name) => {
        // Nobody may take it for a promise.
        if (typeof name !== 'string' || name === 'then') return undefined
        if (name === 'pipeline') return () => makePipeline(send)
        return (...parameters: Argument[]) => send(name, parameters)
      },
    },
  )
  return client as RedisClient
}

/** Commands that go together; each with its own error. */
function makePipeline(send: Send): object {
  const commands: [string, Argument[]][] = []
  const exec = () =>
    Promise.all(
      commands.map(async ([name, parameters]): Promise<[unknown, unknown]> =>
        send(name, parameters).then(
          (reply) => [null, reply],
          (error: unknown) => [error, undefined],
        ),
      ),
    )
  return new Proxy(
    {},
    {
      get: (_, name) => {
        if (name === 'exec') return exec
        return (...parameters: Argument[]) => commands.push([String(name), parameters])
      },
    },
  )
}

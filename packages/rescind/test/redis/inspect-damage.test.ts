/** The doctor where something is broken: the data of a namespace, or the server itself. */
import { describe, expect, it } from 'vitest'
import { RedisConnection } from '../../src/redis/connection.js'
import type { FindingCode } from '../../src/redis/findings.js'
import { inspect } from '../../src/redis/inspect.js'
import { RefusingRedis } from '../support/refusing-redis.js'
import { codes, figures, inspectAt, open, revokeSome, start } from './inspected.js'

const PASSWORD = 's3cret-of-a-test'
const KEYS = 'rescind:{main.0}:'

describe('the namespace', () => {
  it.each([
    ['shapes_lost', ['DEL', `${KEYS}shapes`]],
    ['log_lost', ['DEL', `${KEYS}log:1`]],
    ['log_lost', ['DEL', `${KEYS}meta`]],
    ['log_broken', ['SETRANGE', `${KEYS}log:1`, '40', 'x']],
    // The check of the first record, which the running chain does not contain.
    ['log_broken', ['SETRANGE', `${KEYS}log:1`, '61', 'xxx']],
    ['log_broken', ['APPEND', `${KEYS}log:1`, 'x'.repeat(32)], ['HINCRBY', `${KEYS}meta`, 'size', '32']],
    ['log_broken', ['HSET', `${KEYS}meta`, 'chain', '1']],
    ['namespace_unreadable', ['HSET', `${KEYS}meta`, 'version', '9']],
    ['namespace_unreadable', ['SET', `${KEYS}shapes`, 'x']],
  ] as [FindingCode, ...[string, ...string[]][]][])('%s after %j', async (code, ...commands) => {
    const server = await start()
    await revokeSome(server)
    const damage: readonly FindingCode[] = ['shapes_lost', 'log_lost', 'log_broken', 'namespace_unreadable']
    expect(codes(await inspectAt(server)).filter((each) => damage.includes(each))).toEqual([])
    for (const command of commands) await server.command(...command)
    expect(codes(await inspectAt(server))).toContain(code)
  })

  it('with another number of partitions, or under another name', async () => {
    const server = await start()
    await revokeSome(server)
    expect(figures(await inspectAt(server, { partitions: 4 }), 'partitions_differ')).toEqual({
      stored: 1,
      given: 4,
    })
    expect(codes(await inspectAt(server, { namespace: 'other' }))).toContain('namespace_missing')
    expect(codes(await inspectAt(server))).not.toContain('namespace_missing')
  })
})

describe('servers that do not answer', () => {
  it('one that is away, and one that keeps silent', async () => {
    const server = await start()
    await server.kill()
    const away = await inspectAt(server)
    expect(away.findings).toMatchObject([{ code: 'unreachable', figures: { code: 'ERR_STORE_UNAVAILABLE' } }])
    await server.restart()
    server.freeze()
    const silent = await inspectAt(server, {}, { writeTimeoutMs: 100, connectTimeoutMs: 100 })
    server.thaw()
    expect(codes(silent)).toEqual(['unreachable'])
    expect(silent.worst).toBe('critical')
  })

  it('one that refuses everything but the log-in: nothing is said to be well', async () => {
    const fake = await RefusingRedis.start('NOPERM not you')
    open.push({ close: () => fake.stop() })
    const inspection = await inspectAt({ url: fake.url })
    const subjects = inspection.findings
      .filter(({ code }) => code === 'cannot_be_told')
      .map((each) => each.figures.subject)
    expect(subjects).toEqual(
      expect.arrayContaining([
        ...[
          'maxmemory-policy',
          'evicted keys',
          'memory',
          'persistence',
          'TIME',
          'ACL WHOAMI',
          'default user',
        ],
        ...['save', 'namespace'],
      ]),
    )
  })

  it('a wrong password, which is not told', async () => {
    const server = await start({ config: { requirepass: PASSWORD } })
    const inspection = await inspectAt(server, {}, { password: `${PASSWORD}-wrong` })
    expect(codes(inspection)).toEqual(['unreachable'])
    expect(JSON.stringify(inspection)).not.toContain('s3cret')
  })

  it('a closed connection throws', async () => {
    const connection = new RedisConnection()
    await connection.close()
    await expect(inspect(connection)).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await expect(inspect(new RedisConnection(), { namespace: '?', skewMaxMs: 0 })).rejects.toThrow(
      /namespace[^]*skewMaxMs/,
    )
  })
})

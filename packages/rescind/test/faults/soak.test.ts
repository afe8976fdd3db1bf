/**
 * A node that works for long leaks nothing: after collection its heap and its handles are what they were, over harms
 * and healing. And a Redis that stands still holds no more checks than it may.
 *
 * `RESCIND_SOAK_SECONDS`: how long. Default 5, and 600 in the long form.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'
import { chanceOf, wholeBelow } from './engine/chance.js'
import { control, times } from './engine/figures.js'
import { RescindNode } from './engine/rescind-node.js'
import { nameOf } from './engine/subjects.js'

const SOAK_MS = Number(process.env['RESCIND_SOAK_SECONDS'] ?? times(600, 5)) * 1000
/** As much as a heap differs from itself, in bytes; eight bytes leaked with each answer are more, even in the short form. */
const HEAP_GROWTH_MAX_BYTES = 2 * 1024 * 1024
/** The same subjects all the time: what is revoked takes memory, and rightly so. */
const SUBJECTS = 500
const CHECKS_PER_TURN = 2000
const WRITES_PER_TURN = 2
const TURN_MS = 5
/** One harm, and the time until the next. */
const HARM_EVERY_MS = 1500
const HARM_MS = 400

const CHECKS = 10_000
const IN_FLIGHT_MAX = 100
const DEADLINE_MS = 200
const LATE_MAX_MS = 50

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

it(
  `heap and handles of a node are flat after ${SOAK_MS / 1000} seconds of work and harm`,
  async () => {
    await using server = await RedisServer.start()
    const node = new RescindNode({ kind: 'rescind', name: 'soaked', connection: { url: server.url } })
    const chance = chanceOf(1)
    try {
      await node.ready()
      // Every path has been taken once, and the code is compiled.
      await work(node, server, chance, Math.max(SOAK_MS / 4, 2 * HARM_EVERY_MS))
      const before = await measure(node)
      const answers = await work(node, server, chance, SOAK_MS)
      const after = await measure(node)
      const grownBytes = after.heapBytes - before.heapBytes
      console.log(
        `soak: ${answers} answers in ${SOAK_MS / 1000} s, heap ${before.heapBytes} to ${after.heapBytes} bytes, ` +
          `${before.handles} to ${after.handles} handles`,
      )
      expect(grownBytes).toBeLessThan(HEAP_GROWTH_MAX_BYTES)
      expect(after.handles).toBeLessThanOrEqual(before.handles)
      expect(answers).toBeGreaterThan(SOAK_MS)
    } finally {
      await node.close()
    }
  },
  SOAK_MS * 2 + 60_000,
)

it(`a frozen Redis holds ${IN_FLIGHT_MAX} of ${CHECKS} checks, and all of the naive client`, async () => {
  await using server = await RedisServer.start()
  const store = { checksInFlightMax: IN_FLIGHT_MAX }
  const node = new RescindNode({
    ...{ kind: 'rescind', name: 'a', connection: { url: server.url }, store },
    manager: { replica: false },
  })
  const naive = new Redis(server.url)
  naive.on('error', () => undefined)
  try {
    await node.ready()
    await naive.ping()
    server.freeze()
    const startedAt = performance.now()
    const results = Array.from({ length: CHECKS }, (_, subject) =>
      node.manager.checkStore({ jti: nameOf(subject) }),
    )
    const naiveResults = Array.from({ length: CHECKS }, (_, subject) => naive.exists(`bl:${nameOf(subject)}`))
    let naiveOpen = CHECKS
    for (const result of naiveResults) void result.catch(() => undefined).finally(() => (naiveOpen -= 1))
    const timer = new Promise((resolve) => setTimeout(() => resolve(performance.now()), DEADLINE_MS))
    const answers = await Promise.all(results)
    const tookMs = performance.now() - startedAt
    const timedMs = Number(await timer) - startedAt
    const codes = answers.map((answer) => (answer.status === 'unknown' ? answer.cause.code : answer.status))
    expect(codes.filter((code) => code === 'ERR_STORE_OVERLOADED')).toHaveLength(CHECKS - IN_FLIGHT_MAX)
    expect(codes.filter((code) => code === 'ERR_STORE_TIMEOUT')).toHaveLength(IN_FLIGHT_MAX)
    expect(tookMs - timedMs).toBeLessThan(LATE_MAX_MS)
    control('soak: a frozen Redis', naiveOpen)
    expect(naiveOpen, 'the naive client has no bound').toBe(CHECKS)
  } finally {
    server.thaw()
    naive.disconnect()
    await node.close()
  }
}, 30_000)

/** Revokes, restores and checks, over servers that freeze, are emptied and killed in turn. Returns the answers. */
async function work(
  node: RescindNode,
  server: RedisServer,
  chance: () => number,
  durationMs: number,
): Promise<number> {
  const endAt = performance.now() + durationMs
  let answers = 0
  let isOver = false
  const harms = [
    async () => {
      server.freeze()
      await pause(HARM_MS)
      server.thaw()
    },
    () => server.command('FLUSHALL'),
    async () => {
      await server.kill()
      await pause(HARM_MS)
      await server.restart()
    },
  ]
  const harming = (async () => {
    for (let n = 0; !isOver; n++) {
      await harms[n % harms.length]?.()
      await pause(HARM_EVERY_MS - HARM_MS)
    }
  })()
  while (performance.now() < endAt) {
    for (let n = 0; n < CHECKS_PER_TURN; n++) if (node.checkNow(wholeBelow(chance, SUBJECTS))) answers += 1
    const written = Array.from({ length: WRITES_PER_TURN }, () => {
      const subject = wholeBelow(chance, SUBJECTS)
      return chance() < 0.2 ? node.restore(subject) : node.revoke(subject)
    })
    await Promise.all([node.check(wholeBelow(chance, SUBJECTS)), Promise.allSettled(written)])
    answers += 1
    await pause(TURN_MS)
  }
  isOver = true
  await harming
  return answers
}

/** When the node is fresh again and has nothing to do. */
async function measure(node: RescindNode): Promise<{ heapBytes: number; handles: number }> {
  await until(
    async () => (await node.check(SUBJECTS)) !== 'unknown' && node.checkNow(SUBJECTS) !== undefined,
    {
      what: 'the node to be back',
      timeoutMs: 15_000,
    },
  )
  await node.manager.ready()
  // The least of several: a timer or a socket that just ends is no leak.
  const all = []
  for (let n = 0; n < 10; n++) {
    await pause(100)
    collect()
    all.push({ heapBytes: process.memoryUsage().heapUsed, handles: process.getActiveResourcesInfo().length })
  }
  return {
    heapBytes: Math.min(...all.map(({ heapBytes }) => heapBytes)),
    handles: Math.min(...all.map(({ handles }) => handles)),
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

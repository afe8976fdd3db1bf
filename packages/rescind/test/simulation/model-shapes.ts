/** The list of shapes in use in the model of Redis. */
import { PRUNE_GRACE_SECONDS } from '../../src/core/revocation.js'
import { PARTITIONS_DIFFER_REPLY, SHAPES_EXCEEDED_REPLY } from '../../src/redis/lua.js'
import { SHAPES_MAX } from '../../src/stores/store.js'
import { text } from './model-log.js'
import type { ModelRedis } from './model-redis.js'

const DAY_SECONDS = 86_400

interface UseShape {
  readonly epoch: string
  readonly shape: string
  readonly end: number
  readonly partitions: number
  readonly earlier: number
}

/** Registers a shape. Returns the refusal, if there is one. */
export function useShape(redis: ModelRedis, key: string, wanted: UseShape): string | undefined {
  const { epoch, shape, end, partitions, earlier } = wanted
  const head = `${epoch} ${partitions}`
  const lines = redis.get(key)?.toString().split('\n')
  const known = new Map<string, number>()
  let isChanged = false
  if (lines !== undefined) {
    const first = lines[0] ?? ''
    if (first.slice(0, 16) === epoch && first !== head) return PARTITIONS_DIFFER_REPLY
    for (const [stop, name] of lines.slice(1).map(shapeLine)) {
      if (name === shape || stop + PRUNE_GRACE_SECONDS > earlier) known.set(name, stop)
      else isChanged = true
    }
    isChanged ||= first !== head
  }
  const day = Math.ceil(end / DAY_SECONDS) * DAY_SECONDS
  const before = known.get(shape)
  if (before === undefined && known.size >= SHAPES_MAX) return SHAPES_EXCEEDED_REPLY
  if (before === undefined || before < day) {
    known.set(shape, day)
    isChanged = true
  }
  if (!isChanged) return undefined
  const names = [...known].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  redis.set(key, Buffer.from([head, ...names.map(([name, stop]) => `${text(stop)} ${name}`)].join('\n')))
  return undefined
}

/** The latest end of a shape; 0 without one. */
export function latestOf(redis: ModelRedis, shapes: string): number {
  const lines = redis.get(shapes)?.toString().split('\n').slice(1) ?? []
  return Math.max(0, ...lines.map((line) => shapeLine(line)[0]))
}

function shapeLine(line: string): [number, string] {
  const space = line.indexOf(' ')
  return [Number(line.slice(0, space)), line.slice(space + 1)]
}

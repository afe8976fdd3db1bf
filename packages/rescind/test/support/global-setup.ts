/** Before the clocks of tests run: fetches a redis-server where there is none, which takes longer than any test may. */
import { redisServerBinary } from './redis-binary.js'

export async function setup(): Promise<void> {
  await redisServerBinary()
}

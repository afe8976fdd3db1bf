/**
 * `npm run test:redis [NAME …]`: the tests of everything that speaks to Redis, on other releases of Redis and
 * Valkey than the machine's own. Debian only; each is fetched once.
 */
import { spawnSync } from 'node:child_process'
import { redisRelease, RELEASES } from './redis-release.js'

const TESTS = [
  ...['redis', 'stores', 'replica', 'receipts', 'token-manager'],
  ...['faults/reseed', 'faults/lost-segment', 'faults/staleness'],
]

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !RELEASES.some((release) => release.name === name))
if (unknown.length > 0) {
  console.error(
    `No such release: ${unknown.join(', ')}. There are: ${RELEASES.map(({ name }) => name).join(', ')}`,
  )
  process.exit(2)
}
const failed: string[] = []
for (const release of RELEASES.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  const REDIS_SERVER_BIN = await redisRelease(release)
  console.log(`\n${release.name}: ${spawnSync(REDIS_SERVER_BIN, ['--version']).stdout.toString().trim()}`)
  const paths = TESTS.map((name) => `packages/rescind/test/${name}`)
  const { status } = spawnSync(
    'npx',
    ['vitest', 'run', '--project', 'timed', '--project', 'library', ...paths],
    {
      stdio: 'inherit',
      env: { ...process.env, REDIS_SERVER_BIN },
    },
  )
  if (status !== 0) failed.push(release.name)
}
if (failed.length > 0) console.error(`\nFailed on: ${failed.join(', ')}`)
process.exitCode = failed.length > 0 ? 1 : 0

/**
 * The programs of other people that the tests run, fetched before any test's clock runs: a mirror that is slow for once
 * is no failure of ours. What cannot be had is told, and is then the test's own to fail by.
 */
import { debianPackage, messageOf } from '../packages/rescind/test/support/debian-package.js'
import { redisServerBinary } from '../packages/rescind/test/support/redis-binary.js'
import { python } from '../packages/server/test/support/python.js'
import { browserProgram } from '../packages/server/test/ui/browser.js'

const TRIES = 3
const PROGRAMS: Readonly<Record<string, () => Promise<unknown>>> = {
  'redis-server': redisServerBinary,
  Chromium: browserProgram,
  'Python 3': () => python(),
  ...Object.fromEntries(
    ['nginx', 'caddy', 'haproxy', 'fish', 'zsh'].map((name) => [name, () => debianPackage(name)]),
  ),
}

export async function fetchPrograms(): Promise<void> {
  for (const [name, fetchProgram] of Object.entries(PROGRAMS)) {
    for (let tries = 1; ; tries++) {
      const failure = await fetchProgram().then(() => undefined, messageOf)
      if (failure === undefined) break
      console.error(`${name} cannot be had (${tries} of ${TRIES} tries): ${failure}`)
      if (tries === TRIES) break
    }
  }
}

if (process.argv[1] === import.meta.filename) await fetchPrograms()

/**
 * `npm run audit`: asks the registry for known vulnerabilities, of what is installed with the published packages and of what
 * this repository is built and tested with. The exit code is 1 where one is found. A registry that answers no audits is
 * told loudly, and is no failure: a machine without the public one can do nothing about it.
 */
import { execFile } from 'node:child_process'

const AUDIT_TIMEOUT_MS = 60_000
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024
const SCOPES = [
  { what: 'what users install', args: ['--omit=dev'] },
  { what: 'everything', args: [] },
] as const

interface Answer {
  readonly message?: string
  readonly metadata?: { readonly vulnerabilities: { readonly total: number } }
  readonly vulnerabilities?: Readonly<Record<string, { readonly severity: string; readonly range: string }>>
}

for (const { what, args } of SCOPES) {
  const { message, metadata, vulnerabilities = {} } = await audit(args)
  if (metadata === undefined) {
    console.error(`\n*** NOT AUDITED (${what}): the registry does not answer. ${message ?? ''} ***\n`)
    continue
  }
  console.log(`${what}: ${metadata.vulnerabilities.total} known vulnerabilities`)
  for (const [name, { severity, range }] of Object.entries(vulnerabilities))
    console.log(`  ${name} ${range} (${severity})`)
  if (metadata.vulnerabilities.total > 0) process.exitCode = 1
}

/** npm ends with a failure where it finds something, and writes what it found all the same. */
function audit(args: readonly string[]): Promise<Answer> {
  return new Promise((resolve) => {
    const options = { timeout: AUDIT_TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX }
    execFile('npm', ['audit', '--json', ...args], options, (_failure, stdout) => {
      try {
        resolve(JSON.parse(stdout) as Answer)
      } catch (error) {
        resolve({ message: error instanceof Error ? error.message : 'It gave no reason.' })
      }
    })
  })
}

/**
 * The commands that `npm start` prints for people to paste, run in the order in which they stand, in one shell. Each must
 * answer as the text around it says.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
const SHELL_TIMEOUT_MS = 60_000
const MARK = '--- command '

/** By the method and path of a request, the statuses of its answers, the first time, the second time and so on. */
const ANSWERS: Readonly<Record<string, readonly number[]>> = {
  'GET /me': [200, 401, 401, 401],
  'POST /logout': [204],
  'POST /logout-everywhere': [204],
  'GET /healthz': [200],
  'POST /api/v1/revocations': [200],
}

/** Lines that begin with two spaces, or follow a title, and are of a shell. */
export function commandsIn(output: string): string[] {
  return [...output.matchAll(/^(?: {2}|[A-Z][^:\n]*: +)((?:curl |[A-Z]+=).*)$/gm)].map(
    ([, line]) => line as string,
  )
}

/** Runs them. Throws at the first answer that is another than promised, or a promise that no command asks for. */
export async function expectAnswers(
  commands: readonly string[],
  where: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<string[]> {
  // Not one line of shell may fail; curl itself does where nothing answers.
  const script = ['set -e', ...commands.flatMap((line, i) => [`echo; echo '${MARK}${i}'`, line])].join('\n')
  const { stdout } = await run('sh', ['-c', script], { ...where, timeout: SHELL_TIMEOUT_MS })
  const outputs = stdout.split(new RegExp(`^${MARK}\\d+$`, 'm')).slice(1)
  const asked = new Map<string, number>()
  const report: string[] = []
  for (const [i, command] of commands.entries()) {
    if (!command.startsWith('curl ')) continue
    const request = requestOf(command)
    const times = asked.get(request) ?? 0
    asked.set(request, times + 1)
    const wanted = ANSWERS[request]?.[times]
    const status = Number(/^HTTP\/1\.1 (\d{3})/m.exec(outputs[i] ?? '')?.[1])
    if (status !== wanted)
      throw new Error(`${request} was answered ${status}, and should be ${wanted ?? 'known to this script'}`)
    report.push(`${request} → ${status}`)
  }
  for (const [request, statuses] of Object.entries(ANSWERS))
    if (asked.get(request) !== statuses.length)
      throw new Error(`${request} is not asked for as often as it should be`)
  return report
}

/** `METHOD /path` of a line of curl. */
function requestOf(command: string): string {
  const [, url = ''] = /(https?:\/\/\S+)/.exec(command) ?? []
  const method = /-X (\w+)/.exec(command)?.[1] ?? (/ -d /.test(command) ? 'POST' : 'GET')
  return `${method} ${new URL(url).pathname}`
}

/** The child's side of `child.ts`: does nothing until it is asked, and ends with its parent. */
import type { Answer, Call } from './child.js'

type Functions = Readonly<Record<string, (argument: unknown) => unknown>>

const module = process.argv[2] as string
let functions: Promise<Functions> | undefined

process.on('message', (call: Call) => {
  void answer(call).then((reply) => process.send?.(reply))
})
process.on('disconnect', () => process.exit())

async function answer({ id, name, argument }: Call): Promise<Answer> {
  try {
    functions ??= import(module) as Promise<Functions>
    const wanted = (await functions)[name]
    if (wanted === undefined) throw new Error(`${module} has no function ${name}`)
    return { id, value: await wanted(argument) }
  } catch (error) {
    return { id, failure: describe(error) }
  }
}

/** With what caused it: a failed check says why only there. */
function describe(error: unknown): string {
  const lines: string[] = []
  for (let at = error; at instanceof Error && lines.length < 4; at = at.cause) lines.push(at.message)
  return lines.join(': ') || String(error)
}

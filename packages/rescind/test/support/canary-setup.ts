/** Runs in every test file: fails it when a part of a token that it issued went to any output. */
import { afterAll, expect } from 'vitest'
import { containsToken } from './canary.js'

const leaks: string[] = []

function search(parts: readonly unknown[]): void {
  const text = parts
    .map((part) => (part instanceof Uint8Array ? Buffer.from(part).toString() : String(part)))
    .join(' ')
  if (containsToken(text)) leaks.push(text.slice(0, 40))
}

for (const stream of [process.stdout, process.stderr]) {
  const write = stream.write.bind(stream) as (...parts: unknown[]) => boolean
  stream.write = (...parts: unknown[]) => {
    search(parts.slice(0, 1))
    return write(...parts)
  }
}
for (const level of ['log', 'info', 'warn', 'error', 'debug'] as const) {
  const print = console[level].bind(console)
  console[level] = (...parts: unknown[]) => {
    search(parts)
    print(...parts)
  }
}

afterAll(() => {
  expect(leaks, 'a token was written to the output').toEqual([])
})

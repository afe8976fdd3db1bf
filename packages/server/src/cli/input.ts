/** What is asked of a person, or read from the standard input or a file: within a bound, and what is secret unseen. */
import { readFileSync, statSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'
import { Interrupted, usage } from './failure.js'
import type { Terminal } from './terminal.js'

/** A token or a secret, with what may stand around it. */
const SECRET_BYTES_MAX = 16_384

/** The standard input to its end; a line of it from a terminal, which does not show what is typed. */
export async function readSecret(terminal: Terminal, what: string): Promise<string> {
  const { input } = terminal
  if (input.isTTY === true && input.setRawMode !== undefined) return readHidden(terminal, what)
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of input as AsyncIterable<Buffer | string>) {
    const piece = Buffer.from(chunk)
    bytes += piece.length
    if (bytes > SECRET_BYTES_MAX) throw usage(`the standard input holds more than ${SECRET_BYTES_MAX} bytes`)
    chunks.push(piece)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** A line that is typed at a terminal, shown: a word that confirms, never a secret. */
export async function readLine(terminal: Terminal, question: string): Promise<string> {
  terminal.warn(question)
  let text = ''
  for await (const chunk of terminal.input as AsyncIterable<Buffer | string>) {
    text += chunk.toString()
    if (text.includes('\n') || text.length > SECRET_BYTES_MAX) break
  }
  return text.split('\n')[0]?.trim() ?? ''
}

async function readHidden(terminal: Terminal, what: string): Promise<string> {
  const { input } = terminal
  // Before anybody is asked: what is typed ahead would be shown.
  input.setRawMode?.(true)
  try {
    terminal.warn(`${what} (it is not shown; end with Enter):`)
    const decoder = new StringDecoder('utf8')
    let text = ''
    for await (const chunk of input as AsyncIterable<Buffer | string>) {
      for (const character of typeof chunk === 'string' ? chunk : decoder.write(chunk)) {
        if (character === '\u0003') throw new Interrupted()
        if (character === '\r' || character === '\n' || character === '\u0004') return text
        text = character === '\u007f' || character === '\b' ? text.slice(0, -1) : text + character
      }
      if (text.length > SECRET_BYTES_MAX) throw usage(`more than ${SECRET_BYTES_MAX} characters were typed`)
    }
    return text
  } finally {
    input.setRawMode?.(false)
  }
}

export function readSecretFile(flag: string, path: string): string {
  try {
    const about = statSync(path)
    if (!about.isFile() || about.size > SECRET_BYTES_MAX) throw new Error('not a small file')
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw usage(`${flag} names a file that cannot be read (or is over ${SECRET_BYTES_MAX} bytes)`, cause)
  }
}

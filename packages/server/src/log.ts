/** The log of the service: JSON lines. What could hold a credential is taken out wherever it stands. */
import { type DestinationStream, type Logger, pino } from 'pino'

export type { Logger } from 'pino'

const SECRET_FIELDS = [
  'authorization',
  'cookie',
  'token',
  'client_secret',
  'client_assertion',
  'password',
  'secret',
  'key',
]

/** `level`: `silent`, `error`, `warn`, `info` or `debug`. */
export function makeLog(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    redact: {
      paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]),
      censor: '[redacted]',
    },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}

/** What is written down of a failure: what no endpoint has an answer to names its place. */
export function failureFields(error: unknown): {
  err: Record<'name' | 'message' | 'stack', string | undefined>
} {
  const { name, message, stack } =
    error instanceof Error ? error : new Error('no error was thrown, but a value')
  return { err: { name, message, stack } }
}

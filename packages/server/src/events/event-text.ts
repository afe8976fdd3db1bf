/** Server-sent events as text (WHATWG HTML, 9.2.5): what followers of `/events` read. */
import type { Change } from 'rescind'

export interface EventFields {
  readonly event?: string
  readonly id?: string
  readonly data: unknown
}

/** JSON has no line ends: the data is always one line. */
export function eventText({ event, id, data }: EventFields): string {
  const fields = [
    ...(id === undefined ? [] : [`id: ${id}`]),
    ...(event === undefined ? [] : [`event: ${event}`]),
    `data: ${JSON.stringify(data)}`,
  ]
  return `${fields.join('\n')}\n\n`
}

/** Of a restore the log knows the target, and not who made it. */
export function changeText(change: Change): string {
  const { type, position } = change
  const data = change.type === 'revoked' ? change.revocation : { id: change.id, target: change.target ?? {} }
  return eventText({ event: type, id: position, data })
}

/** How soon a client that lost its stream comes back, in milliseconds: another one for each, so that they spread. */
export function retryText(retryMs: number): string {
  return `retry: ${Math.round(retryMs)}\n\n`
}

export const COMMENT = Buffer.from(': still here\n\n')

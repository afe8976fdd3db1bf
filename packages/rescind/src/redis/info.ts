/** What `INFO` tells, by name. */

export type Fields = Readonly<Record<string, string>>

/** A replica, as its primary tells of it. */
export interface ReplicaLine {
  readonly ip: string
  readonly port: number
  /** `online` when it follows. */
  readonly state: string
  /** Seconds since it last said how far it is. */
  readonly lagSeconds: number
}

const REPLICA = /^slave\d{1,4}$/

/** Lines `name:value`; undefined for what is no text. */
export function fieldsOf(answer: unknown): Fields | undefined {
  if (typeof answer !== 'string') return undefined
  const lines = answer.split('\n').flatMap((line): [string, string][] => {
    const at = line.indexOf(':')
    return at <= 0 || line.startsWith('#') ? [] : [[line.slice(0, at), line.slice(at + 1).trimEnd()]]
  })
  return Object.fromEntries(lines)
}

/** The replicas of a primary, from the fields of its section `replication`. */
export function replicaLines(info: Fields): readonly ReplicaLine[] {
  return Object.entries(info)
    .filter(([name]) => REPLICA.test(name))
    .map(([, text]) => {
      const parts = text.split(',').map((part) => part.split('=', 2) as [string, string])
      const { ip = '', port = '', state = '', lag } = Object.fromEntries(parts) as Record<string, string>
      return { ip, port: Number(port), state, lagSeconds: lag === undefined ? Infinity : Number(lag) }
    })
}

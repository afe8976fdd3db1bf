/**
 * What a user may do on Redis that matters here, asked without doing it: `ACL DRYRUN` where the server has it (7 and
 * newer), otherwise read from `ACL GETUSER`.
 */

/** The names of the commands that a user may run, by what they could do. */
export interface Rights {
  /** They write revocations, and so can undo them; a node that revokes needs them. */
  readonly write: readonly string[]
  /** They destroy revocations or change the server; no node needs them. */
  readonly destroy: readonly string[]
}

export interface Probed {
  /** As it is told. */
  readonly name: string
  readonly kind: keyof Rights
  /** The command itself, with arguments that the server can tell the keys of. */
  readonly command: readonly string[]
  /** Those of Redis 6.2 that it belongs to, for `ACL GETUSER`. */
  readonly categories: readonly string[]
}

/** The commands that are asked about, in the letters of ACL rules; `record`, `meta` and `log` are keys of a namespace. */
export function probedCommands(record: string, meta: string, log: string): readonly Probed[] {
  const write = (categories: string[], ...command: string[]): Probed => probe('write', categories, command)
  const destroy = (categories: string[], ...command: string[]): Probed =>
    probe('destroy', categories, command)
  const admin = (...command: string[]) => destroy(['admin', 'dangerous', 'slow'], ...command)
  const data = ['keyspace', 'write']
  return [
    write(['write', 'string', 'slow'], 'set', record, 'x'),
    write(['write', 'hash', 'fast'], 'hset', meta, 'x', 'x'),
    write(['write', 'string', 'fast'], 'append', log, 'x'),
    write(['scripting', 'slow'], 'eval', 'return 1', '1', record),
    destroy([...data, 'slow'], 'del', record),
    destroy([...data, 'fast'], 'unlink', record),
    destroy([...data, 'fast'], 'expire', record, '1'),
    destroy([...data, 'slow'], 'rename', record, log),
    destroy([...data, 'slow', 'dangerous'], 'restore', record, '0', 'x'),
    destroy([...data, 'slow', 'dangerous'], 'flushall'),
    destroy([...data, 'slow', 'dangerous'], 'flushdb'),
    destroy([...data, 'fast', 'dangerous'], 'swapdb', '0', '1'),
    admin('config', 'set', 'maxmemory', '1'),
    admin('replicaof', 'no', 'one'),
    admin('shutdown'),
    admin('debug', 'sleep', '0'),
    admin('acl', 'setuser', 'x'),
    admin('module', 'load', 'x'),
    destroy(['scripting', 'slow'], 'script', 'flush'),
  ]
}

function probe(kind: keyof Rights, categories: readonly string[], command: readonly string[]): Probed {
  const isContainer = ['config', 'acl', 'module', 'script'].includes(command[0] as string)
  return {
    name: command
      .slice(0, isContainer ? 2 : 1)
      .join(' ')
      .toUpperCase(),
    kind,
    command,
    categories,
  }
}

export function rightsOf(probed: readonly Probed[], may: (probe: Probed) => boolean): Rights {
  const names = (kind: keyof Rights) =>
    probed.filter((probe) => probe.kind === kind && may(probe)).map(({ name }) => name)
  return { write: names('write'), destroy: names('destroy') }
}

/**
 * Does a list of rules, as `ACL GETUSER` tells it of a user or of one of its selectors, allow a command? Keys are left
 * out, so the answer may be too bad, never too good: it is a warning.
 */
export function rulesAllow(rules: string, { command, categories }: Probed): boolean {
  const [name = '', second = ''] = command
  const whole = `${name}|${second}`
  let isAllowed = false
  for (const rule of rules.toLowerCase().split(/\s+/)) {
    const what = rule.slice(1)
    const isMeant =
      what === '@all' || what === name || what === whole || categories.some((each) => what === `@${each}`)
    if (isMeant) isAllowed = rule.startsWith('+')
  }
  return isAllowed
}

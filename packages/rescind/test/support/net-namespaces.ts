/**
 * Network namespaces that can be cut into groups: packets between groups vanish, and nobody is told, as when a switch
 * fails. Linux only, as root or where users may make namespaces.
 *
 * The namespaces have no names. Each lives as long as the processes in it, and these are leashed to this process:
 * however that ends, nothing is left, and outside of them nothing is changed. Files are shared, Unix sockets too.
 *
 * @example
 * await using net = await NetNamespaces.start(3)
 * await using agent = await Agent.start(module, { place: net.members[0] })
 * await net.cut([0])  // from all others
 * await net.heal()
 */
import { type ChildProcess, execFile } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import type { TestContext } from 'vitest'
import type { Place } from './agent.js'
import { spawnLeashed } from './leash.js'

const run = promisify(execFile)

const MEMBERS_MAX = 16
const COMMAND_TIMEOUT_MS = 10_000
const IS_ROOT = process.geteuid?.() === 0

/** One namespace: a host of its own, with a loopback and an address. */
export class NetNamespace implements Place {
  private constructor(
    readonly address: string,
    /** Keeps the namespace, and does nothing else. */
    private readonly holder: ChildProcess,
  ) {}

  /** `among`: in the same user namespace as this one, or they could not be joined. */
  static async start(address: string, among?: NetNamespace): Promise<NetNamespace> {
    const own = IS_ROOT || among !== undefined ? ['--net'] : ['--user', '--map-root-user', '--net']
    // Waits for the end of its input, which comes when this process ends, by whatever means.
    const held = ['unshare', [...own, 'sh', '-c', 'echo ready; exec cat']] as const
    const [command, args] = among === undefined || IS_ROOT ? held : among.#entered(...held)
    const holder = spawnLeashed(command, [...args], { stdio: ['pipe', 'pipe', 'pipe'] })
    let said = ''
    holder.stderr?.on('data', (text: Buffer) => (said += text.toString()))
    const failed = Promise.race([once(holder, 'error'), once(holder, 'exit')]).then(([why]) => {
      throw new Error(`${command}: ${why instanceof Error ? why.message : said.trim()}`)
    })
    await Promise.race([once(holder.stdout as NodeJS.EventEmitter, 'data'), failed])
    failed.catch(() => undefined)
    return new NetNamespace(address, holder)
  }

  get pid(): number {
    return this.holder.pid as number
  }

  command(command: string, args: readonly string[]): [string, string[]] {
    return this.#entered('setpriv', ['--pdeathsig', 'KILL', command, ...args])
  }

  /** Runs `ip` there with all these commands at once. */
  async ip(lines: readonly string[]): Promise<void> {
    const [command, args] = this.#entered('ip', ['-batch', '-'])
    const running = run(command, args, { timeout: COMMAND_TIMEOUT_MS })
    running.child.stdin?.end(lines.join('\n') + '\n')
    await running
  }

  async stop(): Promise<void> {
    if (this.holder.exitCode !== null || this.holder.signalCode !== null) return
    const gone = once(this.holder, 'exit')
    this.holder.kill('SIGKILL')
    await gone
  }

  /** Entering a user namespace unties a process from its parent, hence `setpriv` within, where that matters. */
  #entered(command: string, args: readonly string[]): [string, string[]] {
    const user = IS_ROOT ? [] : ['--user', '--preserve-credentials']
    return ['nsenter', ['--target', String(this.pid), ...user, '--net', command, ...args]]
  }
}

/** Hosts on one switch, which is in a namespace of its own. */
export class NetNamespaces implements AsyncDisposable {
  private constructor(
    private readonly hub: NetNamespace,
    readonly members: readonly NetNamespace[],
  ) {}

  /** `count`: 1 to 16. */
  static async start(count: number): Promise<NetNamespaces> {
    if (!Number.isInteger(count) || count < 1 || count > MEMBERS_MAX)
      throw new Error(`There are 1 to ${MEMBERS_MAX} namespaces`)
    const members: NetNamespace[] = []
    const hub = await NetNamespace.start('')
    const net = new NetNamespaces(hub, members)
    try {
      for (let n = 0; n < count; n++) members.push(await NetNamespace.start(addressOf(n), hub))
      await net.#wire()
      return net
    } catch (failure) {
      await net.stop()
      throw failure
    }
  }

  /**
   * From now on only those of one group reach each other: each group is an array of indexes into `members`, and
   * those that no group names are one more. Replaces an earlier cut.
   */
  async cut(...groups: (readonly number[])[]): Promise<void> {
    await this.hub.ip(
      this.members.map((_, member) => {
        const group = groups.findIndex((indexes) => indexes.includes(member))
        return `link set port${member} master bridge${group + 1}`
      }),
    )
  }

  /** All reach each other again. */
  async heal(): Promise<void> {
    await this.cut()
  }

  /** Ends the namespaces; what runs in them should have ended. Idempotent. */
  async stop(): Promise<void> {
    await Promise.all([this.hub, ...this.members].map((namespace) => namespace.stop()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #wire(): Promise<void> {
    const all = this.members.map((member, n) => ({ member, n }))
    await this.hub.ip([
      // One for each group that there could be, and 0 for those that are in none.
      ...['', ...all].flatMap((_, n) => [
        `link add bridge${n} type bridge stp_state 0 forward_delay 0`,
        `link set bridge${n} up`,
      ]),
      ...all.flatMap(({ member, n }) => [
        `link add port${n} type veth peer name eth0 address ${macOf(n)} netns ${member.pid}`,
        `link set port${n} master bridge0 up`,
      ]),
    ])
    await Promise.all(
      all.map(({ member, n }) =>
        member.ip([
          'link set lo up',
          `address add ${addressOf(n)}/24 dev eth0`,
          'link set eth0 up',
          // Known for good: nobody finds out by ARP that somebody is cut off, and is told "no route to host".
          ...all
            .filter((other) => other.n !== n)
            .map(
              (other) =>
                `neigh replace ${addressOf(other.n)} lladdr ${macOf(other.n)} dev eth0 nud permanent`,
            ),
        ]),
      ),
    )
  }
}

function addressOf(member: number): string {
  return `10.77.0.${member + 1}`
}

function macOf(member: number): string {
  return `02:00:00:00:00:${(member + 1).toString(16).padStart(2, '0')}`
}

let able: Promise<true | string> | undefined

/** True where this machine lets namespaces be made and cut; otherwise why not. Tries it, once. */
export function canSplit(): Promise<true | string> {
  able ??= (async () => {
    try {
      await using net = await NetNamespaces.start(2)
      await net.cut([0])
      return true
    } catch (failure) {
      return `network namespaces cannot be made here (${(failure as Error).message.trim().split('\n').pop()})`
    }
  })()
  return able
}

/** For the name of a test that needs `canSplit()`. */
export function namedBy(name: string, able: true | string): string {
  return able === true ? name : `${name} [NOT RUN: ${able}]`
}

/** Skips a test where there are no namespaces, and says so where nobody overlooks it. */
export function skipUnlessAble(context: TestContext, able: true | string): void {
  if (able === true) return
  process.stderr.write(`\n!!! NOT RUN: ${context.task.name}: ${able}\n`)
  context.skip(able)
}

/** A store of one's own can be written by the names that the package exports, and nothing else. */
import { expect, it } from 'vitest'
import {
  type Advancement,
  type AdvanceOptions,
  type Bell,
  type BellListener,
  type Changes,
  type Digest,
  type Entry,
  type Held,
  type ListOptions,
  type LiveNode,
  type LogPage,
  type Mark,
  MemoryStore,
  type NodeStatus,
  type Page,
  type ParsedTarget,
  type Probe,
  type PutOptions,
  type ReadLogOptions,
  type ReseedOptions,
  type Restored,
  type RestoreOptions,
  type Store,
  type Stored,
  TokenManager,
} from '../../src/index.js'

class OwnStore implements Store {
  readonly kind = 'own'
  readonly #held = new MemoryStore()
  readonly rung: Bell[] = []

  put(target: ParsedTarget, entry: Entry, options: PutOptions): Promise<Stored> {
    return this.#held.put(target, entry, options)
  }
  restore(target: ParsedTarget, options: RestoreOptions): Promise<Restored> {
    return this.#held.restore(target, options)
  }
  advance(family: Digest, mark: Mark, options: AdvanceOptions): Promise<Advancement> {
    return this.#held.advance(family, mark, options)
  }
  find(probe: Probe): Promise<readonly Held[]> {
    return this.#held.find(probe)
  }
  list(options: ListOptions): Promise<Page> {
    return this.#held.list(options)
  }
  readLog(after: string | undefined, bytesMax: number, _: ReadLogOptions = {}): Promise<LogPage> {
    return this.#held.readLog(after, bytesMax)
  }
  onBell(listener: BellListener): () => void {
    return this.#held.onBell((bell) => {
      this.rung.push(bell)
      listener(bell)
    })
  }
  ringForReceipts(): Promise<void> {
    return this.#held.ringForReceipts()
  }
  announce(node: NodeStatus): Promise<void> {
    return this.#held.announce(node)
  }
  retire(id: string): Promise<void> {
    return this.#held.retire(id)
  }
  nodes(): Promise<readonly LiveNode[]> {
    return this.#held.nodes()
  }
  reseed(records: Buffer, { giver }: ReseedOptions): Promise<number | undefined> {
    return Promise.resolve(giver === '' ? undefined : records.length / 32)
  }
  changes(after: string, limit: number): Promise<Changes> {
    return this.#held.changes(after, limit)
  }
  position(): Promise<string> {
    return this.#held.position()
  }
  ping(): Promise<void> {
    return this.#held.ping()
  }
  close(): Promise<void> {
    return this.#held.close()
  }
}

it('a manager works with a store that somebody else has written', async () => {
  const store = new OwnStore()
  const manager = new TokenManager({ store })
  await manager.ready()
  await manager.revoke({ sub: 'alice' })
  expect((await manager.check({ sub: 'alice', iat: 1 }, { consistency: 'strict' })).status).toBe('revoked')
  expect(store.rung).toContain('change')
  await manager.close()
})

/** A node on the embedded store, in a process of its own: `lmdb-node.ts FOLDER NAME`. It follows until it is killed. */
import { LmdbStore } from '../../src/stores/lmdb.js'
import { TokenManager } from '../../src/token-manager.js'
import { answer } from '../support/agent.js'

const [path = '', nodeName = ''] = process.argv.slice(2)
const manager = new TokenManager({ store: LmdbStore.open({ path }), nodeName })
await manager.ready()

const answers = {
  /** What it says from memory: undefined where that is not fresh. */
  check: (sub: string) => manager.checkNow({ sub, iat: 1 })?.status,
  async revoke(sub: string): Promise<void> {
    await manager.revoke({ sub })
  },
}

export type LmdbNodeAnswers = typeof answers
answer(answers)

/** A service in a process of its own, that can be frozen, killed and started again on its port. */
import { answer } from '../../../rescind/test/support/agent.js'
import { configSchema } from '../../src/config/schema.js'
import { makeLog } from '../../src/log.js'
import { Service } from '../../src/service.js'

export interface StartRequest {
  /** As it would stand in the file. */
  readonly config: Record<string, unknown>
  readonly env: Record<string, string>
}

const answers = {
  async start({ config, env }: StartRequest): Promise<string> {
    const { url } = await Service.start({ config: configSchema.parse(config), env, log: makeLog('silent') })
    return url
  },
}
export type ServiceAnswers = typeof answers

answer(answers)

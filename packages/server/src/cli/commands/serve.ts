/** `rescind serve`: runs the service until it is told to stop. */
import type { Command } from 'commander'
import { configOption } from '../options.js'
import type { Terminal } from '../terminal.js'

export function addServe(program: Command, { env, warn, onStop }: Terminal): void {
  program
    .command('serve')
    .description('run the service')
    .addOption(configOption())
    .action(async ({ config: path }: { config?: string }) => {
      const [{ loadConfig }, { Service }] = await Promise.all([
        import('../../config/load.js'),
        import('../../service.js'),
      ])
      const { config } = loadConfig(env, { path })
      const service = await Service.start({ config, env })
      const { firstAdmin } = service
      if (firstAdmin !== undefined) {
        warn(
          `No admin was known, so one was made. Its key ${
            firstAdmin.path === undefined ? `is ${firstAdmin.key}` : `stands in ${firstAdmin.path}`
          }`,
        )
      }
      onStop(() => service.stop())
    })
}

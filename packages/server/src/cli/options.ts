/** Options that several commands have. */
import { Option } from 'commander'

export function configOption(): Option {
  return new Option(
    '-c, --config <file>',
    'the configuration (RESCIND_CONFIG; default: rescind.yaml where it is)',
  )
}

/** Of `--actor`. */
export const ACTOR_HELP = 'who does it (default: you); a service takes the client of its key'

/** For an option that may be given several times. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

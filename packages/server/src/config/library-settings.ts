/** What the library reads from the environment, with what the configuration says in the place of what is not set. */
import type { Environment } from 'rescind'
import type { Config } from './schema.js'

const LIFETIME_NORMAL_SECONDS = 1800
const CLOCK_TOLERANCE_NORMAL_SECONDS = 5

export function librarySettings(config: Config, env: Environment): Environment {
  const longest = Math.max(
    config.lifetimeMaxSeconds ?? LIFETIME_NORMAL_SECONDS,
    ...config.issuers.map(({ lifetimeMaxSeconds = 0 }) => lifetimeMaxSeconds),
  )
  const said = {
    RESCIND_DATA_DIR: config.dataDir,
    RESCIND_NAMESPACE: config.namespace,
    RESCIND_LIFETIME_MAX_SECONDS: longest,
    RESCIND_CLOCK_TOLERANCE_SECONDS: config.clockToleranceSeconds,
    RESCIND_SKEW_MARGIN_SECONDS: config.skewMarginSeconds,
    RESCIND_STALENESS_MAX_MS: config.stalenessMaxMs,
  }
  const set = Object.entries(said).filter(([name, value]) => value !== undefined && !env[`${name}_FILE`])
  return { ...env, ...Object.fromEntries(set.map(([name, value]) => [name, String(value)])) }
}

/** For verifying tokens, in seconds. */
export function clockToleranceOf(config: Config): number {
  return config.clockToleranceSeconds ?? CLOCK_TOLERANCE_NORMAL_SECONDS
}

/** The environment variables of a stranger's shell: it knows nothing of this run, of npm's own run or of a Redis. */
const OURS = /^(npm_|VITEST|VITE_|REDIS_|RESCIND_|(NODE_(ENV|OPTIONS|PATH|V8_COVERAGE)|CI|PORT)$)/i

export function strangerEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !OURS.test(name)))
}

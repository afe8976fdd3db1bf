import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['packages/*/test/**/*.test.ts', 'examples/*/test/**/*.test.ts', 'bench/test/**/*.test.ts'],
    setupFiles: ['packages/rescind/test/support/canary-setup.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})

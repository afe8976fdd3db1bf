import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import ts from 'typescript'
import { defineConfig, type Plugin } from 'vitest/config'
import { ClosingLine } from './packages/rescind/test/support/closing-line.js'

const NEST_11_TESTS = 'packages/rescind/test/adapters/legacy/nest-11.test.ts'
/** Of hostile input only what waits for a server: the rest measures the time of the processor, which others do not take. */
const TIMED_TESTS = [
  'packages/rescind/test/faults/*.test.ts',
  'packages/rescind/test/hostile/{keys,replies,written-over}.test.ts',
  'packages/rescind/test/live/{end-with-token,live-tokens}.test.ts',
  'packages/rescind/test/redis/ack.test.ts',
  'packages/rescind/test/support/split-sentinel.test.ts',
]
/** Run only when they are asked for. */
const TOOLS =
  process.env['RESCIND_SCREENSHOTS'] === '1' ? [] : ['packages/server/test/ui/screenshots.test.ts']
const nest11 = createRequire(new URL('fixtures/nest-11/package.json', import.meta.url))

export default defineConfig({
  plugins: [decorators()],
  test: {
    reporters: ['default', new ClosingLine()],
    globalSetup: ['packages/rescind/test/support/global-setup.ts'],
    setupFiles: ['packages/rescind/test/support/canary-setup.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        // What measures time, with the machine to itself: after all others, whatever the number of its group.
        test: {
          name: 'timed',
          include: TIMED_TESTS,
          maxWorkers: 1,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'library',
          include: [
            'packages/rescind/test/**/*.test.ts',
            'examples/*/test/**/*.test.ts',
            'docs/.vitepress/test/*.test.ts',
          ],
          exclude: ['**/node_modules/**', NEST_11_TESTS, ...TIMED_TESTS],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'service',
          include: [
            'packages/{server,dashboard}/test/**/*.test.ts',
            'bench/test/**/*.test.ts',
            'examples/test/*.test.ts',
          ],
          exclude: ['**/node_modules/**', ...TOOLS],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        // What is packed and installed, as strangers do.
        test: {
          name: 'packages',
          include: ['scripts/test/*.test.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        // The adapter itself imports Nest too: here it gets Nest 11 like its test.
        resolve: {
          alias: ['common', 'core', 'platform-express', 'platform-fastify'].map((name) => ({
            find: new RegExp(`^@nestjs/${name}$`),
            replacement: nest11.resolve(`@nestjs/${name}`),
          })),
        },
        test: { name: 'nest-11', include: [NEST_11_TESTS], maxWorkers: 2, sequence: { groupOrder: 1 } },
      },
    ],
  },
})

/**
 * Vite's own compiler leaves decorators of TC39 as they are, which Node cannot read. TypeScript compiles both
 * dialects: the legacy one where the nearest tsconfig.json says so.
 */
function decorators(): Plugin {
  return {
    name: 'decorators',
    enforce: 'pre',
    transform(code, id) {
      if (!id.endsWith('.ts') || id.includes('/node_modules/') || !/^\s*@\w+\(/m.test(code)) return undefined
      const path = ts.findConfigFile(dirname(id), existsSync)
      const config = ts.readConfigFile(path ?? '', (file) => ts.sys.readFile(file)) as {
        config?: { compilerOptions?: { experimentalDecorators?: boolean } }
      }
      const { outputText, sourceMapText } = ts.transpileModule(code, {
        fileName: id,
        compilerOptions: {
          target: ts.ScriptTarget.ES2022,
          module: ts.ModuleKind.ESNext,
          verbatimModuleSyntax: true,
          sourceMap: true,
          experimentalDecorators: config.config?.compilerOptions?.experimentalDecorators === true,
        },
      })
      return { code: outputText, map: JSON.parse(sourceMapText ?? '{}') as { mappings: string } }
    },
  }
}

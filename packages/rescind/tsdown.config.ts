import { defineConfig } from 'tsdown'
import { writeCommonjsEntries } from '../../scripts/commonjs-entries.js'

const ADAPTERS = ['node', 'express', 'fastify', 'hono', 'koa', 'nest', 'decorators', 'fetch', 'live']

export default defineConfig({
  entry: {
    index: 'src/index.ts',
    lmdb: 'src/stores/lmdb.ts',
    refresh: 'src/refresh/index.ts',
    ...Object.fromEntries(ADAPTERS.map((name) => [name, `src/adapters/${name}.ts`])),
  },
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  dts: true,
  clean: true,
  sourcemap: true,
  // How long a plugin took is no warning for whoever builds.
  checks: { pluginTimings: false },
  hooks: { 'build:done': ({ options }) => writeCommonjsEntries(options.outDir, Object.keys(options.entry)) },
})

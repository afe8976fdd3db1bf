import { existsSync } from 'node:fs'
import { defineConfig } from 'tsdown'
import { writeCommonjsEntries } from '../../scripts/commonjs-entries.js'

const DASHBOARD = '../dashboard/dist'
if (!existsSync(DASHBOARD))
  throw new Error('The dashboard goes into the service and is not built: npm run build -w @rescind/dashboard')

export default defineConfig({
  entry: { index: 'src/index.ts', main: 'src/main.ts' },
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  dts: true,
  clean: true,
  sourcemap: true,
  // How long a plugin took is no warning for whoever builds.
  checks: { pluginTimings: false },
  copy: [{ from: DASHBOARD, to: 'dist', rename: 'ui' }],
  hooks: { 'build:done': ({ options }) => writeCommonjsEntries(options.outDir, ['index']) },
})

import { defineConfig } from 'vite'

export default defineConfig({
  base: '/ui/',
  server: {
    proxy: {
      '/api': 'http://127.0.0.1:8484',
      '/events': 'http://127.0.0.1:8484',
      '/ui/session': 'http://127.0.0.1:8484',
    },
  },
  build: {
    target: 'es2022',
    // The policy of the page allows `data:` for images alone, and the polyfill would be a script within the page.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    cssMinify: true,
    // What is built in keeps its licences.
    license: { fileName: 'licenses.md' },
    reportCompressedSize: false,
  },
})

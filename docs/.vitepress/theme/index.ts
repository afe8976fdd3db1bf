/** VitePress' own theme, in the colours of the dashboard. */
import type { Theme } from 'vitepress'
import DefaultTheme from 'vitepress/theme'
import './style.css'

export default { extends: DefaultTheme } satisfies Theme

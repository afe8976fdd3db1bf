/**
 * A Chromium to look at the dashboard with: the one that is there, or Debian's, unpacked without installing it. Where
 * neither can be had, the failure says what to install.
 */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { debianPackage } from '../../../rescind/test/support/debian-package.js'

/** Names another one. */
const VARIABLE = 'RESCIND_TEST_CHROMIUM'
const KNOWN = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]
const HEADLESS = 'chromium-headless-shell'
const FONTS = 'fonts-inter'
const ARGS = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--force-color-profile=srgb']

/** Rejects with one line that says what to install. */
export async function openBrowser(): Promise<Browser> {
  return chromium.launch({ ...(await browserProgram()), args: ARGS })
}

/** The program to start, fetched where there is none. Rejects with one line that says what to install. */
export async function browserProgram(): Promise<{ executablePath: string; env?: Record<string, string> }> {
  const known = [process.env[VARIABLE] ?? '', ...KNOWN].find((path) => path !== '' && existsSync(path))
  if (known !== undefined) return { executablePath: known }
  try {
    const { root, env } = await debianPackage(HEADLESS)
    const fonts = await fontConfig(root)
    return {
      executablePath: join(root, 'usr/lib/chromium/chromium-headless-shell'),
      env: { ...(env as Record<string, string>), ...(fonts === undefined ? {} : { FONTCONFIG_FILE: fonts }) },
    }
  } catch (cause) {
    throw new Error(
      `The dashboard is tested in a browser: install Chromium (Debian: apt-get install chromium), or name one in ${VARIABLE}`,
      { cause },
    )
  }
}

/** A machine without a desktop has no fonts to speak of. Without Debian's Inter it does with what is there. */
async function fontConfig(root: string): Promise<string | undefined> {
  const fonts = await debianPackage(FONTS).catch(() => undefined)
  if (fonts === undefined) return undefined
  const path = join(root, 'fonts.conf')
  await mkdir(join(root, 'fonts-cache'), { recursive: true })
  await writeFile(
    path,
    `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
      <dir>${join(fonts.root, 'usr/share/fonts')}</dir><dir>/usr/share/fonts</dir>
      <cachedir>${join(root, 'fonts-cache')}</cachedir>
    </fontconfig>`,
  )
  return path
}

import { nestSuite } from './nest-suite.js'

nestSuite(12, new URL('../../../package.json', import.meta.url))

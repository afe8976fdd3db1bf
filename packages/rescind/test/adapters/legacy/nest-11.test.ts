/** In a project of its own (`vitest.config.ts`), where `@nestjs/…` is that of `fixtures/nest-11`. */
import { nestSuite } from './nest-suite.js'

nestSuite(11, new URL('../../../../../fixtures/nest-11/package.json', import.meta.url))

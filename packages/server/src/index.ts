/** The service for who wants to run it within a process of their own. The command `rescind` is `main.ts`. */
export { loadConfig, type LoadedConfig, type LoadOptions, parseConfig } from './config/load.js'
export { configSchema, type Config } from './config/schema.js'
export { Service, type ServiceOptions } from './service.js'

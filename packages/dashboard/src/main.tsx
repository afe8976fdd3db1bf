/** The dashboard begins here. */
import { render } from 'preact'
import { App } from './app.js'
import { followLinks } from './router.js'
import './styles/base.css'
import './styles/shell.css'
import './styles/pieces.css'
import './styles/forms.css'
import './styles/tables.css'

followLinks()
render(<App />, document.getElementById('root') as HTMLElement)

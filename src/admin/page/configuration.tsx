import { useSignal } from '@preact/signals'
import type { ConfigurationView } from '../console/answers.ts'
import { useAsked } from './asked.ts'
import { ago } from './format.ts'
import { Card, Copy, Mark, Scroll, Trouble } from './parts.tsx'

type Setting = ConfigurationView['rows'][number]

export function ConfigurationPage() {
  const filter = useSignal('')
  const isOwn = useSignal(false)
  const { answer, problem } = useAsked<ConfigurationView>('/api/configuration', 0)
  if (answer === null)
    return problem === null ? <p class="quiet">Asking the hub…</p> : <Trouble text={problem} />
  const isMeant = ({ key, help, origin }: Setting) =>
    (key.includes(filter.value) || help.includes(filter.value)) && (!isOwn.value || origin !== 'default')
  const groups = Map.groupBy(answer.rows.filter(isMeant), ({ key }) => sectionOf(key))
  return (
    <>
      <Notes configuration={answer} />
      <form class="toolbar" onSubmit={(event) => event.preventDefault()}>
        <label class="grow">
          <span class="hidden">Find a setting</span>
          <input
            type="search"
            placeholder="Find a setting"
            onInput={(event) => {
              filter.value = event.currentTarget.value.trim()
            }}
          />
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={isOwn.value}
            onChange={(event) => {
              isOwn.value = event.currentTarget.checked
            }}
          />
          <span>Only what is set</span>
        </label>
        <Copy text={toml(answer.rows)} label="Copy as TOML" />
      </form>
      <p class="quiet rate">
        {answer.file === null ? 'No file was read; loaded ' : 'Read from '}
        {answer.file !== null && <code>{answer.file}</code>} {ago(answer.loadedAt)}. Secrets are not sent to
        this page.
      </p>
      {[...groups].map(([name, settings]) => (
        <Card key={name} title={name} class="flush">
          <Settings name={name} settings={settings} />
        </Card>
      ))}
    </>
  )
}

function Notes({ configuration: { warnings, needRestart } }: { configuration: ConfigurationView }) {
  return (
    <>
      {warnings.map(({ setting, message }) => (
        <p class="problem warn" key={`${setting} ${message}`}>
          <Mark level="warn" />
          <span>
            <code>{setting}</code> {message}
          </span>
        </p>
      ))}
      {needRestart.length > 0 && (
        <p class="problem warn">
          <Mark level="warn" />
          <span>
            Changed, and waiting for a restart: <code>{needRestart.join(', ')}</code>
          </span>
        </p>
      )}
    </>
  )
}

function Settings({ name, settings }: { name: string; settings: readonly Setting[] }) {
  return (
    <Scroll name={`Settings of ${name}`}>
      <table class="settings">
        <colgroup>
          <col class="key" />
          <col class="value" />
          <col class="origin" />
          <col />
        </colgroup>
        <thead>
          <tr>
            <th scope="col">Setting</th>
            <th scope="col">Value</th>
            <th scope="col">From</th>
            <th scope="col">Meaning</th>
          </tr>
        </thead>
        <tbody>
          {settings.map((setting) => (
            <tr key={setting.key} class={setting.origin === 'default' ? 'default' : ''}>
              <td>
                <code>{setting.key}</code>
              </td>
              <td>
                <Value setting={setting} />
              </td>
              <td class="nowrap">
                <span class={`chip ${setting.origin}`} title={setting.at}>
                  {setting.origin}
                </span>
              </td>
              <td class="quiet">{setting.help}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}

function Value({ setting: { value, secret } }: { setting: Setting }) {
  if (value === '' || value === '[]') return <span class="quiet">empty</span>
  if (secret) return <span class="quiet">set, not shown</span>
  return <code class="wrap">{value}</code>
}

function sectionOf(key: string): string {
  return /[.[]/.test(key) ? key.replace(/[.[].*/, '') : 'general'
}

/** The settings that are given, as lines of a file; secrets are left out, and repeated tables as comments. */
function toml(rows: readonly Setting[]): string {
  const given = rows.filter(({ origin, value, secret }) => origin !== 'default' && value !== '' && !secret)
  const lines = given.map(({ key, value }) => {
    const written = /^(?:\[.*\]|true|false|\d+)$/s.test(value) ? value : JSON.stringify(value)
    return key.includes('[') ? `# ${key} = ${written}` : `${key} = ${written}`
  })
  return `${lines.join('\n')}\n`
}

import { expect, test } from 'bun:test'
import { settingsHelp, settingsReference } from '../../src/config/describe.ts'
import { names } from '../../src/config/names.ts'

test('every setting is in the help and in the reference', () => {
  const [help, reference] = [settingsHelp(), settingsReference()]
  for (const name of names) {
    expect(help).toContain(name.flag)
    expect(reference).toContain(`| \`${name.key}\` |`)
    expect(reference).toContain(`\`${name.env}\``)
  }
})

test('the reference marks what a reload leaves as it is', () => {
  const reference = settingsReference()
  for (const { env, meaning } of names) {
    expect(reference).toContain(`\`${env}\` | ${meaning.restart ? 'restart' : ''} |`)
  }
})

test('a name is spelled the same everywhere', () => {
  expect(names.find(({ key }) => key === 'history.max_age')).toMatchObject({
    flag: 'history-max-age',
    env: 'CINNABAR_HISTORY_MAX_AGE',
  })
  expect(new Set(names.map(({ flag }) => flag)).size).toBe(names.length)
})

import { describe, expect, test } from 'bun:test'
import { missingFeatures, refusedFeatures } from '../../src/config/later.ts'
import { describeProblem, load, type Settings } from '../../src/config/load.ts'

function settings(...argv: readonly string[]): Settings {
  const devKeys = { publisher: '', subscriber: '' }
  const loaded = load({ argv, env: {}, readFile: () => '', isTerminal: false, devKeys })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.settings
}

describe('a setting for what this version does not do', () => {
  test('is named where a hub only goes without', () => {
    const asked = settings('--admin-console')
    expect(refusedFeatures(asked)).toEqual([])
    expect(missingFeatures(asked).map(describeProblem)).toEqual([
      'admin.console: the console is not part of this version',
    ])
  })

  test('is none of the defaults', () => {
    expect([...refusedFeatures(settings()), ...missingFeatures(settings())]).toEqual([])
  })
})

import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AUTO, findBase } from '../../../scripts/bench/regression/base.ts'

let folder: string
let checkout: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cinnabar-test-'))
  checkout = join(folder, 'checkout')
  await Bun.$`git init --quiet --initial-branch=main ${checkout}`
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const git = async (...words: readonly string[]) => {
  const who = ['-c', 'user.name=test', '-c', 'user.email=test@example.com', '-c', 'commit.gpgsign=false']
  return (await Bun.$`git ${who} ${words}`.cwd(checkout).quiet().text()).trim()
}
/** Answers with the commit. */
const commit = async (message: string) => {
  await git('commit', '--quiet', '--allow-empty', '-m', message)
  return await git('rev-parse', 'HEAD')
}

test('the commit before is the parent', async () => {
  const first = await commit('one')
  await commit('two')
  expect(await findBase(AUTO, checkout)).toEqual({ name: 'HEAD~1', commit: first })
})

test('before a merge it is what was merged into', async () => {
  await commit('one')
  await git('switch', '--quiet', '-c', 'topic')
  await commit('topic')
  await git('switch', '--quiet', 'main')
  const main = await commit('two')
  await git('merge', '--quiet', '--no-ff', '-m', 'merge', 'topic')
  expect(await findBase(AUTO, checkout)).toEqual({ name: 'HEAD~1', commit: main })
})

test('of a branch it is where that has left the default branch of its origin', async () => {
  const landed = await commit('landed')
  const clone = join(folder, 'clone')
  await Bun.$`git clone --quiet ${checkout} ${clone}`
  checkout = clone
  expect(await findBase(AUTO, checkout)).toBeNull()
  await commit('one')
  await commit('two')
  expect(await findBase(AUTO, checkout)).toEqual({ name: landed, commit: landed })
})

test('with a release it is the last one before this commit, however long ago', async () => {
  const first = await commit('one')
  await git('tag', 'v1.0.0')
  await commit('two')
  await git('tag', 'nightly')
  await commit('three')
  expect(await findBase(AUTO, checkout)).toEqual({ name: 'v1.0.0', commit: first })
  // A release is compared with the release before.
  await git('tag', '-a', '-m', 'release', 'v1.1.0')
  expect(await findBase(AUTO, checkout)).toEqual({ name: 'v1.0.0', commit: first })
})

test('the first commit, and a shallow clone, have none', async () => {
  await commit('one')
  expect(await findBase(AUTO, checkout)).toBeNull()
  await commit('two')
  const clone = join(folder, 'clone')
  await Bun.$`git clone --quiet --depth=1 file://${checkout} ${clone}`
  expect(await findBase(AUTO, clone)).toBeNull()
})

test('a commit that is named is taken, and has to be there', async () => {
  const first = await commit('one')
  await commit('two')
  await commit('three')
  await git('tag', 'v1.0.0')
  expect(await findBase(first.slice(0, 10), checkout)).toEqual({ name: first.slice(0, 10), commit: first })
  await expect(findBase('v9.9.9', checkout)).rejects.toThrow('there is no commit v9.9.9 here')
  await expect(findBase('--all', checkout)).rejects.toThrow('there is no commit --all here')
})

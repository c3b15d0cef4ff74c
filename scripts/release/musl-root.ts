import { copyFile, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unpackedPackages } from './debian.ts'
import { run } from './facts.ts'

/**
 * Makes a root in which executables for musl run: `bun musl-root.ts amd64|arm64 x86_64|aarch64 FOLDER`. The libc is
 * that of Debian 13: the one of Debian 12 cannot read the relocations of today's libraries. libstdc++ and libgcc are
 * those that a wheel of numpy brings with it.
 */
const [debian = '', python = '', root = ''] = process.argv.slice(2)

const libc = await unpackedPackages(debian, ['musl'], 'trixie')
const wheels = await mkdtemp(join(tmpdir(), 'cinnabar-wheels-'))
try {
  for (const path of ['lib', 'usr/lib', 'usr/bin', 'proc', 'data'])
    await mkdir(join(root, path), { recursive: true })
  const loader = `ld-musl-${python}.so.1`
  await copyFile(join(libc.folder, `usr/lib/${python}-linux-musl/libc.so`), join(root, 'lib', loader))
  await symlink(loader, join(root, `lib/libc.musl-${python}.so.1`))
  const platform = [`--platform=musllinux_1_2_${python}`, '--python-version=3.12', '--only-binary=:all:']
  await run([
    'python3',
    '-m',
    'pip',
    'download',
    '-q',
    '--no-deps',
    ...platform,
    'numpy==2.4.6',
    '-d',
    wheels,
  ])
  const [wheel = ''] = await readdir(wheels)
  await run(['unzip', '-q', join(wheels, wheel), 'numpy.libs/*', '-d', wheels])
  for (const name of await readdir(join(wheels, 'numpy.libs'))) {
    const plain = /^(libstdc\+\+|libgcc_s)/.exec(name)?.[0]
    if (plain === undefined) continue
    await copyFile(join(wheels, 'numpy.libs', name), join(root, 'usr/lib', name))
    if (plain === 'libstdc++') await symlink(name, join(root, 'usr/lib/libstdc++.so.6'))
  }
} finally {
  await rm(libc.folder, { recursive: true, force: true })
  await rm(wheels, { recursive: true, force: true })
}

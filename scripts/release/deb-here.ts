import { contentsOf } from './contents.ts'
import { writeDeb } from './deb.ts'
import { factsOfCheckout, root } from './facts.ts'

/** Packs `dist/cinnabar` alone as a package for this machine: `bun scripts/release/deb-here.ts FOLDER` prints its path. */

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('name the folder of the package')
const facts = await factsOfCheckout()
const executable = `${root}dist/cinnabar`
const contents = await contentsOf(executable, facts)
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
console.log(`${folder}/${await writeDeb({ architecture, executable, contents, facts, folder, level: 1 })}`)

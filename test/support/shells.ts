import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Real shells that complete command lines with a script, as they do when somebody presses the tab key. */

/** The shells, in the order in which most people have them. */
export const shells = ['bash', 'zsh', 'fish'] as const

export type Shell = (typeof shells)[number]

/** Whether the shell is on this machine. */
export function hasShell(shell: Shell): boolean {
  return Bun.which(shell) !== null
}

/** What the shell offers at the end of each line, sorted. Rejects with what it says when it fails. */
export async function offered(
  shell: Shell,
  script: string,
  lines: readonly string[],
): Promise<readonly (readonly string[])[]> {
  const folder = await mkdtemp(join(tmpdir(), 'cinnabar-completion-'))
  try {
    await Bun.write(join(folder, 'script'), script)
    await Bun.write(join(folder, 'driver'), drivers[shell])
    await Bun.write(join(folder, 'prepare'), zshInside)
    const child = Bun.spawn([...starts[shell], join(folder, 'driver'), ...lines], {
      cwd: folder,
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: folder,
        FOLDER: folder,
        TERM: 'xterm',
        LC_ALL: 'C.UTF-8',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 20_000,
    })
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ])
    if ((await child.exited) !== 0 || err !== '') throw new Error(`${shell}: ${err}`)
    const answers = out.split('= next\n').slice(1)
    if (answers.length !== lines.length) throw new Error(`${shell} answers ${answers.length} times: ${out}`)
    return answers.map((answer) => [...new Set(answer.split('\n').filter(Boolean))].sort())
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const starts: Readonly<Record<Shell, readonly string[]>> = {
  bash: ['bash', '--norc', '--noprofile'],
  zsh: ['zsh', '-f'],
  fish: ['fish', '--no-config'],
}

// Words are taken apart as the shell does it, the sign between an option and its value included.
const bashDriver = `
source "$FOLDER/script"
for line in "$@"; do
  echo '= next'
  read -ra COMP_WORDS <<< "\${line//=/ = }"
  case $line in *' ' | *=) COMP_WORDS+=('') ;; esac
  COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
  _cinnabar
  printf '%s\\n' "\${COMPREPLY[@]}"
done
`

const fishDriver = `
source $FOLDER/script
for line in $argv
  echo '= next'
  complete -C $line | string replace -r '\\t.*' ''
end
true
`

// Completion is a part of the line editor, which needs a terminal; what is added to the matches is noted in a file.
const zshDriver = `
zmodload zsh/zpty
export WANTED=\${(F)@}
zpty inside zsh -f -i
zpty -w inside 'source "$FOLDER/prepare"'
zpty -r inside seen '*SOURCED*'
zpty -w -n inside $'\\C-T'
zpty -r inside seen '*DONE*'
cat "$FOLDER/out"
`

const zshInside = `
autoload -Uz compinit
compinit -u -D
source "$FOLDER/script"
compadd() {
  if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)* ]]; then builtin compadd "$@"; return; fi
  local -a hits
  builtin compadd -A hits "$@"
  if (($#hits)); then print -rl -- $hits >> "$FOLDER/out"; fi
}
complete_here() { _main_complete }
zle -C complete_here complete-word complete_here
complete_all() {
  local line
  for line in "\${(@f)WANTED}"; do
    print '= next' >> "$FOLDER/out"
    BUFFER=$line CURSOR=$#line
    zle complete_here
  done
  BUFFER=
  print DO''NE
}
zle -N complete_all
bindkey '^T' complete_all
print SOUR''CED
`

const drivers: Readonly<Record<Shell, string>> = { bash: bashDriver, zsh: zshDriver, fish: fishDriver }

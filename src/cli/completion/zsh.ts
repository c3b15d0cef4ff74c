import { dashed, type Flag, type Place, quoted, settingFlags, type Typed, type Value } from './typed.ts'

/** A script for zsh: a file of its own in a folder of `fpath`, or evaluated by a shell that has run `compinit`. */
export function zshCompletion({ commands, places }: Typed): string {
  return `#compdef cinnabar
# Completes the command lines of cinnabar in zsh. Made by: cinnabar completion zsh

_cinnabar() {
  local -a settings
  settings=(
${settingFlags.map((flag) => `    ${specification(flag)}`).join('\n')}
  )
  if ((CURRENT == 2)); then
    local -a commands
    commands=(
${commands.map(([name, help]) => `      ${quoted(`${name}:${escaped(help)}`)}`).join('\n')}
    )
    _describe command commands
    return
  fi
  shift words
  ((CURRENT--))
  local command=$words[1]
  if ((CURRENT > 2)); then
    case "$words[1] $words[2]" in
      ${places
        .filter(({ path }) => path.includes(' '))
        .map(({ path }) => `(${quoted(path)})`)
        .join('|')}) command="$words[1] $words[2]"; shift words; ((CURRENT--)) ;;
    esac
  fi
  case $command in
${places.map(placeCase).join('\n')}
    *) _default ;;
  esac
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _cinnabar "$@"
else compdef _cinnabar cinnabar
fi
`
}

function placeCase({ path, flags, hasSettings, words, takesFile }: Place): string {
  const rest = takesFile ? '*:file:_files' : words.length > 0 ? `1:word:(${words.join(' ')})` : '*: :'
  const parts = [...flags.map(specification), ...(hasSettings ? ['$settings'] : []), quoted(rest)]
  return `    ${quoted(path)})\n      _arguments ${parts.join(' \\\n        ')} ;;`
}

/** An option for `_arguments`, which may be there many times. */
function specification(flag: Flag): string {
  const sign = flag.value.kind === 'none' ? '' : '='
  return quoted(`*${dashed(flag)}${sign}[${bracketed(flag.help)}]${action(flag.value)}`)
}

function action(value: Value): string {
  switch (value.kind) {
    case 'none':
      return ''
    case 'text':
      return ':value: '
    case 'file':
      return ':file:_files'
    case 'folder':
      return ':folder:_files -/'
    case 'words':
      return `:value:(${value.words.join(' ')})`
    default:
      return value satisfies never
  }
}

function escaped(text: string): string {
  return text.replaceAll(/[\\:]/g, '\\$&')
}

function bracketed(text: string): string {
  return text.replaceAll(/[\\[\]:]/g, '\\$&')
}

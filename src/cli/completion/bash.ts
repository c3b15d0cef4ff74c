import { dashed, type Place, quoted, settingFlags, type Typed, type Value } from './typed.ts'

/**
 * A script for bash from 3.2 on, which has neither associative arrays nor helpers of its own. The kind of a value is
 * text that no word can be: `@file`, `@folder`, `@text`, or nothing for an option without a value.
 */
export function bashCompletion({ commands, places }: Typed): string {
  return `# Completes the command lines of cinnabar in bash. Made by: cinnabar completion bash

_cinnabar_settings=${quoted(settingFlags.map(dashed).join(' '))}

# Sets \`words\` and \`flags\` to what may come after the command.
_cinnabar_words() {
  case $1 in
    '') words=${quoted(commands.map(([name]) => name).join(' '))} ;;
${places.map(wordsCase).join('\n')}
  esac
}

# Sets \`value\` to what the option of the command takes.
_cinnabar_value() {
  value=
  case "$1 $2" in
${places.flatMap(valueCases).join('\n')}
    *)
      case $2 in
${settingFlags.flatMap((flag) => valueCase('        ', dashed(flag), flag.value)).join('\n')}
      esac ;;
  esac
}

_cinnabar() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command='' words='' flags='' value=''
  local IFS=$' \\t\\n'
  COMPREPLY=()
  # The shell takes the sign between an option and its value for a word.
  if [[ $current == '=' ]]; then current=''
  elif [[ $before == '=' ]]; then before=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  if ((COMP_CWORD > 1)); then command=\${COMP_WORDS[1]}; fi
  if ((COMP_CWORD > 2)); then
    case "$command \${COMP_WORDS[2]}" in
      ${patterns(places.filter(({ path }) => path.includes(' ')).map(({ path }) => path))}) command="$command \${COMP_WORDS[2]}" ;;
    esac
  fi
  if [[ $before == --* ]]; then _cinnabar_value "$command" "$before"; fi
  if [[ -z $value ]]; then
    _cinnabar_words "$command"
    if [[ $current == -* || -z $words ]]; then value=$flags
    else value=$words
    fi
  fi
  case $value in
    @text) ;;
    @file | @folder)
      IFS=$'\\n'
      if [[ $value == @file ]]; then COMPREPLY=($(compgen -f -- "$current"))
      else COMPREPLY=($(compgen -d -- "$current"))
      fi
      compopt -o filenames 2>/dev/null ;;
    *) COMPREPLY=($(compgen -W "$value" -- "$current")) ;;
  esac
}

complete -F _cinnabar cinnabar
`
}

function wordsCase({ path, words, flags, hasSettings, takesFile }: Place): string {
  const next = takesFile ? '@file' : words.join(' ')
  const own = flags.map(dashed).join(' ')
  const settings = hasSettings ? '" $_cinnabar_settings"' : ''
  return `    ${quoted(path)}) words=${quoted(next)} flags=${quoted(own)}${settings} ;;`
}

function valueCases({ path, flags }: Place): readonly string[] {
  return flags.flatMap((flag) => valueCase('    ', `${path} ${dashed(flag)}`, flag.value))
}

function valueCase(indent: string, pattern: string, value: Value): readonly string[] {
  if (value.kind === 'none') return []
  const written = value.kind === 'words' ? value.words.join(' ') : `@${value.kind}`
  return [`${indent}${quoted(pattern)}) value=${quoted(written)} ;;`]
}

function patterns(paths: readonly string[]): string {
  return paths.map(quoted).join(' | ')
}

import { type Flag, type Place, settingFlags, type Typed, type Value } from './typed.ts'

/** A script for fish. */
export function fishCompletion({ commands, places }: Typed): string {
  const inner = places.filter(({ path }) => path.includes(' ')).map(({ path }) => quote(path))
  return `# Completes the command lines of cinnabar in fish. Made by: cinnabar completion fish

# Whether the words before this one name one of these commands.
function __cinnabar_in
  set -l words (commandline -opc)[2..-1]
  set -l command "$words[1]"
  if contains -- "$words[1] $words[2]" ${inner.join(' ')}
    set command "$words[1] $words[2]"
  end
  contains -- "$command" $argv
end

complete -c cinnabar -f
${commands.map(([name, help]) => `complete -c cinnabar -n "__cinnabar_in ''" -a ${name} -d ${quote(help)}`).join('\n')}

${places.flatMap((place) => linesOf(place, places)).join('\n')}

${settingFlags
  .map((flag) =>
    line(
      places.filter(({ hasSettings }) => hasSettings),
      flag,
    ),
  )
  .join('\n')}
`
}

function linesOf(place: Place, places: readonly Place[]): readonly string[] {
  const words = place.words.map((word) => {
    const help = places.find(({ path }) => path === `${place.path} ${word}`)?.help ?? ''
    return `complete -c cinnabar -n ${condition([place])} -a ${word}${help === '' ? '' : ` -d ${quote(help)}`}`
  })
  const files = place.takesFile ? [`complete -c cinnabar -n ${condition([place])} -F`] : []
  return [...words, ...files, ...place.flags.map((flag) => line([place], flag))]
}

function line(places: readonly Place[], { name, help, value }: Flag): string {
  return `complete -c cinnabar -n ${condition(places)} -l ${name}${requirement(value)} -d ${quote(help)}`
}

function requirement(value: Value): string {
  switch (value.kind) {
    case 'none':
      return ''
    case 'text':
      return ' -x'
    case 'file':
      return ' -r -F'
    case 'folder':
      return ` -x -a '(__fish_complete_directories)'`
    case 'words':
      return ` -x -a ${quote(value.words.join(' '))}`
    default:
      return value satisfies never
  }
}

function condition(places: readonly Place[]): string {
  return `"__cinnabar_in ${places.map(({ path }) => quote(path)).join(' ')}"`
}

function quote(text: string): string {
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`
}

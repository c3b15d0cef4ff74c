import { Metrics } from '../../src/admin/metrics.ts'
import { commandLines } from '../../src/cli/commands.ts'
import { environment, signals, statuses } from '../../src/cli/man.ts'
import { type CommandLine, optionsOf, spelled } from '../../src/command/arguments.ts'
import { settingsReference } from '../../src/config/describe.ts'
import { Counters } from '../../src/telemetry/counters.ts'
import { exampleFile } from './example.ts'

/** The pages that are generated whole, by their names in docs/. */
export async function generatedPages(): Promise<Readonly<Record<string, string>>> {
  return {
    'configuration.md': `${settingsReference()}\n${example}`,
    'commands.md': commandsPage(await commandLines()),
    'metrics.md': metricsPage(),
  }
}

// The hidden lines make the keys that the file names, and try the file with every comment as a setting as well, but for
// those that need a file or a server.
const example = `## A full example

\`/etc/cinnabar/cinnabar.toml\` of a hub behind a proxy on its machine. Settings that are comments have the value that they have
without a line, or one that shows how it is written.

<!-- sh run
mkdir -p /etc/cinnabar /var/lib/cinnabar
for role in publisher subscriber; do openssl rand -hex 32 > /etc/cinnabar/$role.key; done
-->

\`\`\`toml file=etc/cinnabar/cinnabar.toml
${exampleFile()}\`\`\`

\`\`\`sh run
cinnabar check
\`\`\`

\`\`\`text prints
The configuration is valid.
With 1000 readers, one in a hundred stalled, and 100 updates of 1 KiB a second:
  memory: …MiB usually, …MiB at most
  history: readers may stay away for …, then history.max_… ends it, …MiB of disk at most
\`\`\`

<!-- sh run
sed -E '/^# (cert_file|key_file|url|subscriber|legacy_issuer|token) =/!s/^# ([a-z0-9_]+ = )/\\1/' /etc/cinnabar/cinnabar.toml > all.toml
test $(grep -c '^# [a-z0-9_]* = ' all.toml) -lt 10
cinnabar check --config all.toml
-->
`

function metricsPage(): string {
  const metrics = new Metrics({
    counters: new Counters(),
    build: {},
    snapshot: () => Promise.reject(new Error('there is no hub')),
    cluster: () => {
      throw new Error('there is no hub')
    },
  })
  const rows = metrics.meanings.map(([name, help]) => `| \`${name}\` | ${cell(help)} |`)
  return `# Metrics

What \`/metrics\` of the admin listener says, in the text format of Prometheus. Names that begin with \`mercure_\` are those
of other Mercure hubs, with the same meaning. No label holds a topic, a token or an address.

A dashboard and alert rules are in [\`docs/monitoring\`](monitoring).

This page is generated from the code by \`scripts/docs.ts\`.

| metric | meaning |
|---|---|
${rows.join('\n')}

The figures of the history are left out while the log cannot say them; those of \`cinnabar_redis_*\`, \`cinnabar_nodes\` and
\`cinnabar_reaped_subscribers_total\` are there with \`transport = "redis"\` alone. The reasons of \`cinnabar_token_failures_total\` are on
the page about [troubleshooting](troubleshooting.md#401).
`
}

function commandsPage(lines: readonly CommandLine[]): string {
  const table = (rows: readonly (readonly [term: string, text: string])[]) =>
    `| | |\n|---|---|\n${rows.map(([term, text]) => `| \`${cell(term)}\` | ${cell(text)} |`).join('\n')}\n`
  return `# Commands

Every command has \`--help\`, and \`cinnabar man\` prints all of this as a manual page. Commands that take settings take
every one of them as a flag: [configuration](configuration.md) has the names.

This page is generated from the commands by \`scripts/docs.ts\`.

${lines.map((line) => section(line, table)).join('\n')}
## Exit codes

${table(statuses)}
## Environment

${table(environment)}
## Signals of \`serve\`

${table(signals)}
SIGUSR1, SIGUSR2, SIGQUIT and SIGALRM do nothing.
`
}

function section(line: CommandLine, table: (rows: readonly (readonly [string, string])[]) => string): string {
  const usage = `cinnabar ${line.name} ${line.usage}`.trimEnd()
  const rows = optionsOf(line).map((option) => [spelled(option), option.help] as const)
  const settings = line.hasSettings ? '\nEvery setting is a flag too.\n' : ''
  return `## cinnabar ${line.name}\n\n\`\`\`text\n${usage}\n\`\`\`\n\n${prose(line.summary)}\n\n${table(rows)}${settings}`
}

/** The summary of a command; indented lines in it are a table and stay lines. */
function prose(summary: string): string {
  const parts: string[] = []
  for (const line of summary.split('\n')) {
    const isTable = line.startsWith('  ')
    const before = parts.at(-1)
    if (before === undefined || before.startsWith('  ') !== isTable) parts.push(line)
    else parts[parts.length - 1] = `${before}\n${line}`
  }
  return parts
    .map((part) => (part.startsWith('  ') ? `\`\`\`text\n${part}\n\`\`\`` : escaped(part)))
    .join('\n\n')
}

/** Text of a cell. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

/** A star is itself, not a mark. */
function escaped(text: string): string {
  return text.replaceAll('*', '\\*')
}

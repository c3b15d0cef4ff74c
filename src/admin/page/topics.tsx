import type { RuleFigures, TopicPage } from '../console/answers.ts'
import { useAsked } from './asked.ts'
import { Topic } from './feed.tsx'
import { count, size, span } from './format.ts'
import { Card, Empty, Scroll, Trouble } from './parts.tsx'

export function TopicsPage() {
  const { answer, problem } = useAsked<TopicPage>('/api/topics', 2000)
  if (answer === null)
    return problem === null ? <p class="quiet">Asking the hub…</p> : <Trouble text={problem} />
  return (
    <>
      <Trouble text={problem} />
      <p class="quiet rate">
        Counted while this page is looked at, for {span(Math.max(1, (Date.now() - answer.since) / 1000))}:{' '}
        {count(answer.counted)} updates on {count(answer.hottest.length + answer.others)} topics.
      </p>
      <Hottest topics={answer} />
      {answer.rules.length > 0 && <Rules rules={answer.rules} />}
    </>
  )
}

function Hottest({ topics: { hottest } }: { topics: TopicPage }) {
  const most = hottest[0]?.perSecond ?? 1
  if (hottest.length === 0)
    return (
      <Card title="Hottest topics">
        <Empty title="No update since you look.">Topics appear here with the next one.</Empty>
      </Card>
    )
  return (
    <Card title="Hottest topics" class="flush">
      <Scroll name="Hottest topics">
        <table class="streams">
          <thead>
            <tr>
              <th scope="col">Canonical topic</th>
              <th scope="col" class="wide">
                Updates per second
              </th>
              <th scope="col" class="number">
                Readers now
              </th>
              <th scope="col" class="number">
                Usual size
              </th>
            </tr>
          </thead>
          <tbody>
            {hottest.map((row) => (
              <tr key={row.topic}>
                <td class="topic">
                  <code>
                    <Topic text={row.topic} />
                  </code>
                </td>
                <td class="whole">
                  <div class="share">
                    <span style={{ width: `${(row.perSecond / most) * 100}%` }} />
                    <b>{count(row.perSecond)}</b>
                  </div>
                </td>
                <td class="number" data-name="readers">
                  {count(row.readers)}
                </td>
                <td class="number" data-name="usually">
                  {size(row.bytes)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </Card>
  )
}

function Rules({ rules }: { rules: readonly RuleFigures[] }) {
  return (
    <Card title="Rules of the history" class="flush">
      <Scroll name="Rules of the history">
        <table class="streams">
          <thead>
            <tr>
              <th scope="col">Topics</th>
              <th scope="col">Keeps</th>
              <th scope="col" class="number">
                Updates kept
              </th>
              <th scope="col" class="number">
                Bytes kept
              </th>
            </tr>
          </thead>
          <tbody>
            {rules.map((rule) => (
              <tr key={rule.match}>
                <td class="topic">
                  <code>{rule.match}</code>
                </td>
                <td class="whole">{keeps(rule)}</td>
                <td class="number" data-name="kept">
                  {count(rule.rows)}
                </td>
                <td class="number" data-name="bytes">
                  {size(rule.bytes)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </Card>
  )
}

function keeps({ maxCount, maxAge, maxBytes, perTopic }: RuleFigures): string {
  const limits = [
    maxCount === null ? [] : `${count(maxCount)} newest`,
    maxAge === null ? [] : span(maxAge),
    maxBytes === null ? [] : size(maxBytes),
  ].flat()
  if (limits.length === 0) return 'a share of the whole (history.own_events)'
  return `${limits.join(', ')}${perTopic ? ' of each topic' : ''}`
}

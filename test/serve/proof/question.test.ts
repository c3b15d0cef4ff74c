import { expect, test } from 'bun:test'
import { PATIENCE_MS, Question } from '../../../src/serve/proof/question.ts'
import { loggedLines, ManualLoop } from '../../support/manual-loop.ts'

/** A question whose answer the test gives. */
function arrange() {
  const loop = new ManualLoop()
  const { log, messages } = loggedLines()
  const answers: PromiseWithResolvers<void>[] = []
  const question = new Question({
    ask: () => {
      const answer = Promise.withResolvers<void>()
      answers.push(answer)
      return answer.promise
    },
    loop,
    log,
    silence: 'silent',
    recovery: 'back',
  })
  return { loop, messages, answers, question }
}

test('all who ask while an answer is awaited get that one', async () => {
  const { question, answers, messages } = arrange()
  const asked = Array.from({ length: 20 }, () => [question.answer(), question.answerInTime()]).flat()
  expect(answers.length).toBe(1)
  answers[0]?.resolve()
  await Promise.all(asked)
  const again = question.answer()
  expect(answers.length).toBe(2)
  answers[1]?.reject(new Error('full'))
  expect(await again.catch(String)).toBe('Error: full')
  expect(messages()).toEqual([])
})

test('a late answer is logged once, and once when it comes', async () => {
  const { question, answers, loop, messages } = arrange()
  const patient = question.answer()
  const hasty = question.answerInTime().catch(String)
  loop.pass(PATIENCE_MS - 1)
  expect([question.problem, messages()]).toEqual([null, []])
  loop.pass(1)
  expect(await hasty).toBe('Error: silent')
  // Nobody waits any more for an answer that is late already.
  expect(await question.answerInTime().catch(String)).toBe('Error: silent')
  loop.pass(10 * PATIENCE_MS)
  expect([question.problem, messages(), answers.length]).toEqual(['silent', ['silent'], 1])
  answers[0]?.resolve()
  await patient
  expect([question.problem, messages()]).toEqual([null, ['silent', 'back']])
})

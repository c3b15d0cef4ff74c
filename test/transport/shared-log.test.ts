import { expect, test } from 'bun:test'
import type { Envelope } from '../../src/protocol/update.ts'
import { SharedLog, SharedLogNode } from '../support/shared-log.ts'
import { envelope } from './contract.ts'
import { statsContract } from './contract-stats.ts'
import { tailContract } from './contract-tail.ts'

/** A node whose tail takes what it appends at once, unless it is held. */
class PromptNode extends SharedLogNode {
  isHeld = false

  override append(envelope: Envelope): Promise<void> {
    const appending = super.append(envelope)
    queueMicrotask(() => {
      if (!this.isHeld) this.advance(this.lag)
    })
    return appending
  }
}

tailContract('shared', async () => {
  const log = new SharedLog(Number.POSITIVE_INFINITY)
  const transport = new PromptNode(log)
  let missed = 0
  return {
    transport,
    miss: async (count) => {
      for (let n = 0; n < count; n++) log.add(envelope(`missed-${++missed}`))
      transport.skip(count)
    },
    replace: async () => {
      log.replace()
      transport.advance(0)
    },
  }
})

statsContract('shared', 2, async () => {
  const transport = new PromptNode(new SharedLog(2))
  await transport.open(
    () => {},
    () => {},
  )
  return transport
})

test('an append resolves when the own tail has it', async () => {
  const log = new SharedLog(Number.POSITIVE_INFINITY)
  const transport = new PromptNode(log)
  transport.isHeld = true
  await transport.open(
    () => {},
    () => {},
  )
  let isStored = false
  const appending = transport.append(envelope('a')).then(() => {
    isStored = true
  })
  await Promise.resolve()
  expect(isStored).toBe(false)
  transport.advance(1)
  await appending
  expect(isStored).toBe(true)
})

import { expect, test } from 'bun:test'
import { descriptorWarning, streamsThatFit } from '../../src/serve/system/descriptors.ts'

test('H3 streams leave room for publishers, and at the limit there is room for no more', () => {
  expect(streamsThatFit(null, 1000)).toBe(Number.POSITIVE_INFINITY)
  expect(streamsThatFit(64, 21)).toBe(23)
  expect(streamsThatFit(1024, 24)).toBe(872)
  expect(streamsThatFit(20_000, 24)).toBe(19_476)
  expect(streamsThatFit(1024, 900, 850)).toBe(850)
  // Many streams on few connections leave room for more.
  expect(streamsThatFit(1024, 124, 5000)).toBe(5772)
})

test('H3 a limit that somebody wants and cannot have is told, and the default only where there is little room', () => {
  expect(descriptorWarning(50_000, 19_476)).toContain('only 19476 of 50000 connections fit')
  expect(descriptorWarning(10_000, 19_476)).toBeNull()
  expect(descriptorWarning(100_000, 19_476)).toBeNull()
  expect(descriptorWarning(100_000, 872)).toContain('ulimit -n')
})

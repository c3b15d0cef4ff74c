import { describe, expect, test } from 'bun:test'
import { codeOf, reasonOf, unexpectedText } from '../../src/command/failure.ts'

const coded = (code: string, message = `${code}: a word of the runtime`) =>
  Object.assign(new Error(message), { code })

describe('why something outside failed', () => {
  test.each([
    ['the connection is refused', coded('ECONNREFUSED')],
    ['there is no such host', coded('ENOTFOUND')],
    ['ENOSPC', coded('ENOSPC')],
    ['its certificate is not accepted (CERT_HAS_EXPIRED)', coded('CERT_HAS_EXPIRED')],
    ['its certificate is not accepted (ERR_TLS_CERT_X)', coded('ERR_TLS_CERT_X')],
    ['it takes too long', new DOMException('The operation timed out.', 'TimeoutError')],
    ['refused\\u001b[2J', new Error('refused\x1b[2J\n    at source')],
    ['thrown text', 'thrown text'],
  ])('%s', (reason, error) => {
    expect(reasonOf(error)).toBe(reason)
  })

  test('a code that is no word is none', () => {
    expect(codeOf(coded('a b\n'))).toBeNull()
    expect(codeOf(new DOMException('x', 'TimeoutError'))).toBeNull()
    expect(codeOf(null)).toBeNull()
  })
})

test('a fault of the program is told without a word of its source', () => {
  const error = new TypeError("undefined is not an object (evaluating 'secret.key')")
  expect(unexpectedText(error)).toBe(
    'an unexpected TypeError; please report it, with the output of cinnabar version',
  )
  expect(unexpectedText(coded('EMFILE'))).toBe('EMFILE')
  expect(unexpectedText('text')).not.toContain('text')
})

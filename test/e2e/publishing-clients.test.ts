import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import type { ReceivedEvent } from '../support/event-stream.ts'
import { publish } from '../support/publisher.ts'
import { rawRequest } from '../support/raw-request.ts'
import { StreamClient } from '../support/stream-client.ts'
import { tokenFor } from '../support/tokens.ts'

/** Publications as libraries put them on the wire, with a token of this generation. */
interface Publication {
  readonly client: string
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly body: string
  readonly isPrivate: boolean
  /** What subscribers see; the id is in the answer, and here when the publisher chose it. */
  readonly event: Partial<ReceivedEvent> & { readonly data: string }
}

const form = ['Content-Type', 'application/x-www-form-urlencoded'] as const
const symfony = [
  ['Accept', '*/*'],
  form,
  ['User-Agent', 'Symfony HttpClient/Curl'],
  ['Accept-Encoding', 'gzip'],
] as const
const go = [['User-Agent', 'Go-http-client/1.1'], form, ['Accept-Encoding', 'gzip']] as const
const axios = [
  ['Accept', 'application/json, text/plain, */*'],
  form,
  ['User-Agent', 'axios/0.18.0'],
  ['Connection', 'close'],
] as const
const requests = [
  ['User-Agent', 'python-requests/2.31.0'],
  ['Accept-Encoding', 'gzip, deflate'],
  ['Accept', '*/*'],
  ['Connection', 'keep-alive'],
  form,
] as const
const dart = [
  ['user-agent', 'Dart/3.5 (dart:io)'],
  ['content-type', 'application/x-www-form-urlencoded; charset=utf-8'],
  ['accept-encoding', 'gzip'],
] as const

const book = 'topic=https%3A%2F%2Fexample.com%2Fbooks%2F1'
const javaId = '3f2c8f0e-8c53-4b8a-9e0c-0a4f1f6c2d11'

const publications: readonly Publication[] = [
  {
    client: 'symfony/mercure with every field and + for spaces',
    fields: symfony,
    body: `${book}&topic=https%3A%2F%2Fexample.com%2Fusers%2Fdunglas&data=hello+big+world&private=on&id=urn%3Auuid%3A1f1b9d1a-0b5e-4c8e-9d8a-1c2d3e4f5a6b&type=greeting&retry=1500`,
    isPrivate: true,
    event: {
      id: 'urn:uuid:1f1b9d1a-0b5e-4c8e-9d8a-1c2d3e4f5a6b',
      type: 'greeting',
      data: 'hello big world',
      retry: 1500,
    },
  },
  {
    client: 'symfony/mercure of API Platform that says that something is gone',
    fields: symfony,
    body: `${book}&data=%7B%22%40id%22%3A%22%5C%2Fbooks%5C%2F1%22%7D`,
    isPrivate: false,
    event: { data: '{"@id":"\\/books\\/1"}' },
  },
  {
    client: 'symfony/ux-turbo with lines of HTML',
    fields: symfony,
    body: `${book}&data=%3Cturbo-stream+action%3D%22append%22%3E%0A++%3Cp%3EGr%C3%B6%C3%9Fe%3C%2Fp%3E%0A%3C%2Fturbo-stream%3E%0A`,
    isPrivate: false,
    event: { data: '<turbo-stream action="append">\n  <p>Größe</p>\n</turbo-stream>\n' },
  },
  {
    client: 'the Laravel broadcaster on a private channel',
    fields: symfony,
    body: `${book}&data=%7B%22event%22%3A%22App%5C%5CEvents%5C%5CSaved%22%2C%22data%22%3A%5B%5D%7D&private=on`,
    isPrivate: true,
    event: { data: '{"event":"App\\\\Events\\\\Saved","data":[]}' },
  },
  {
    client: 'amp-mercure-publisher, which sends an empty private even for what is public,',
    fields: [['Accept', '*/*'], form, ['User-Agent', 'amphp/http-client @ v4.x']],
    body: `${book}&data=hi&private=`,
    isPrivate: true,
    event: { data: 'hi' },
  },
  {
    client: 'action-mercure, which joins its topics by a comma into one,',
    fields: axios,
    body: 'topic=https%3A%2F%2Fexample.com%2Fa%2Chttps%3A%2F%2Fexample.com%2Fb&data=deployed&type=message',
    isPrivate: false,
    event: { data: 'deployed', type: 'message' },
  },
  {
    client: 'npm mercure 0.1.0, whose data comes first and is empty for an object,',
    fields: axios,
    body: `data=&${book}`,
    isPrivate: false,
    event: { data: '' },
  },
  {
    client: 'pymercure',
    fields: requests,
    body: `${book}&topic=https%3A%2F%2Fexample.com%2Fbooks%2F2&data=%7B%22a%22%3A+1%7D&id=py-1&type=created`,
    isPrivate: false,
    event: { id: 'py-1', type: 'created', data: '{"a": 1}' },
  },
  {
    client: 'java-mercure, which always sends an id and reads the answer as a UUID,',
    fields: [
      ['User-Agent', 'Java/17.0.12'],
      form,
      ['Accept', 'text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2'],
      ['Connection', 'keep-alive'],
    ],
    body: `${book}&data=hi&id=${javaId}`,
    isPrivate: false,
    event: { id: javaId, data: 'hi' },
  },
  {
    client: 'mercure_client of Dart, whose example has a blank after private,',
    fields: dart,
    body: `${book}&data=hi&private+=on`,
    isPrivate: false,
    event: { data: 'hi' },
  },
  {
    client: 'the same with the blank spelled %20',
    fields: dart,
    body: `${book}&data=hi&private%20=on`,
    isPrivate: false,
    event: { data: 'hi' },
  },
  {
    client: 'dart_mercure',
    fields: dart,
    body: `${book}&data=hi`,
    isPrivate: false,
    event: { data: 'hi' },
  },
  {
    client: 'go-mercure, which sorts its fields,',
    fields: go,
    body: `data=hi&id=go-1&private=on&retry=2000&${book}&type=t`,
    isPrivate: true,
    event: { id: 'go-1', data: 'hi', retry: 2000, type: 't' },
  },
]

describe('publishing clients', () => {
  let hub: RunningHub
  let publisher: string
  let permitted: StreamClient
  let anonymous: StreamClient
  beforeAll(async () => {
    hub = await startHub({ flags: ['--hub-anonymous', '--transport', 'memory'] })
    publisher = await tokenFor({ publish: ['*'] })
    const Authorization = `Bearer ${await tokenFor({ subscribe: ['*'] })}`
    permitted = await StreamClient.open(`${hub.url}?match=*`, { Authorization })
    anonymous = await StreamClient.open(`${hub.url}?match=*`)
  })
  afterAll(() => hub.dispose())

  for (const { client, fields, body, isPrivate, event } of publications) {
    const title = isPrivate ? 'private' : 'public'
    test(`PUB-52 the ${title} update of ${client} is accepted, and the answer is its id verbatim`, async () => {
      const answer = await rawRequest(hub.origin, {
        method: 'POST',
        target: '/.well-known/mercure',
        fields: [['Authorization', `Bearer ${publisher}`], ...fields],
        body,
      })
      const id = answer.text
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8'])
      expect(id).toEqual(event.id ?? expect.stringMatching(/^urn:uuid:[0-9a-f-]{36}$/))

      const after = await publish(hub.url, { topic: 'https://example.com/after' })
      await until('both', () => permitted.ids.includes(after) && anonymous.ids.includes(after))
      const seen = permitted.events.find((candidate) => candidate.id === id)
      expect(seen).toEqual({ id, type: 'message', retry: null, ...event })
      expect(anonymous.ids.includes(id)).toBe(!isPrivate)
    })
  }
})

import { expect, test } from 'bun:test'
import { keyAddressProblem } from '../../src/auth/key-address.ts'

test.each([
  'https://issuer.example/keys.json',
  'https://203.0.113.1/keys',
  'https://172.32.0.1/keys',
  'https://[2001:db8::1]/keys',
  'http://localhost:8080/keys',
  'http://keys.localhost/keys',
  'http://127.0.0.1:1/keys',
  'https://127.8.9.10/keys',
  'http://[::1]:8080/keys',
  'http://[::ffff:127.0.0.1]/keys',
  'file:///etc/keys.json',
  'file://localhost/etc/keys.json',
])('AUT-41 %s is an address of keys', (address) => {
  expect(keyAddressProblem(address, false)).toBeNull()
  expect(keyAddressProblem(address, true)).toBeNull()
})

const insecure = [
  'http://issuer.example/keys',
  'http://localhost.example/keys',
  'http://notlocalhost/keys',
  'http://keycloak:8080/realms/a/protocol/openid-connect/certs',
  'http://host.docker.internal/keys',
  'http://10.0.0.5:8080/keys',
  'http://[fd00::1]:8080/keys',
  'https://0.0.0.0/keys',
  'https://10.0.0.1/keys',
  'https://0x0a000001/keys',
  'https://167772161/keys',
  'https://100.64.0.1/keys',
  'https://169.254.169.254/latest/meta-data',
  'https://172.16.0.1/keys',
  'https://172.31.255.255/keys',
  'https://192.168.1.1/keys',
  'https://224.0.0.1/keys',
  'https://[::]/keys',
  'https://[fd00::1]/keys',
  'https://[fe80::1]/keys',
  'https://[::ffff:10.0.0.1]/keys',
  'https://[::ffff:a9fe:a9fe]/keys',
]

test.each(insecure)('AUT-41 SEC-11 %j is refused, and the way to allow it is named', (address) => {
  expect(keyAddressProblem(address, false)).toEndWith(' with jwks_insecure')
})

test.each(insecure)('M7 %j is an address of keys where its key set is allowed so', (address) => {
  expect(keyAddressProblem(address, true)).toBeNull()
})

test.each([
  'keys.json',
  '/keys.json',
  '',
  'ftp://issuer.example/keys',
  'data:application/json,{}',
  'file://issuer.example/etc/keys.json',
  'https://user:secret@issuer.example/keys',
  'http://user:secret@10.0.0.5/keys',
  'http://user@localhost/keys',
])('AUT-41 SEC-11 %j is refused, allowed or not', (address) => {
  expect(keyAddressProblem(address, false)).toBeString()
  expect(keyAddressProblem(address, true)).toBe(keyAddressProblem(address, false))
  expect(keyAddressProblem(address, true)).not.toContain('jwks_insecure')
})

import { ProtocolError } from '../error.ts'
import type { CharacterSet, Expression, Place } from './expression.ts'

/**
 * Regular expressions in time linear in the text: the automaton follows all ways through the expression side by side,
 * one character after the other (Thompson's construction). There is no second attempt, so nothing can explode; an
 * engine that remembers which ways were under way together would be faster on long texts, and its memory could not be
 * bounded.
 */

/** Instructions that the automaton of one pattern may have at most, unless the caller has a limit of its own. */
export const WEIGHT_MAX = 5000

/**
 * Instructions times characters of one test. Each instruction costs 3 ns for each character at worst, when all are
 * under way at once: about a millisecond.
 */
const COST_MAX = 400_000

/** A test of a part of a text. Places such as `^` are those of the whole text. */
export type PartTest = (text: string, from: number, to: number) => boolean

/**
 * Compiles to a test of a whole part of a text. A test that would cost too much answers false (MAT-32). Throws
 * `invalid-matcher` when the expression is heavier than `weightMax`.
 *
 * An instruction takes four bytes, and sixteen more when its set is like no other: an expression of 5,000 that is
 * made to be large takes 35 KB, and 0.3 ms to compile.
 */
export function compileAutomaton(expression: Expression, weightMax: number): PartTest {
  if (expression.weight > weightMax) throw regexpRefusal('repeats too much')
  const program = new Assembler().assemble(expression)
  const lengthMax = COST_MAX / program.code.length
  return (text, from, to) => to - from <= lengthMax && run(program, text, from, to)
}

/** A refusal of a regular expression. The reason completes a sentence. */
export function regexpRefusal(reason: string, cause?: unknown): ProtocolError {
  return new ProtocolError('invalid-matcher', `a regular expression of a URL pattern ${reason}`, { cause })
}

/** An instruction is one of these, with its operand in the bits above. */
const OPERATION_BITS = 3
const OPERATION_MASK = (1 << OPERATION_BITS) - 1
/** Takes the character of the operand, then goes on at the next instruction. */
const CHARACTER = 0
/** Takes a character of the set with the number of the operand, then goes on at the next instruction. */
const SET = 1
/** Goes on at once at the next instruction and at that of the operand. */
const SPLIT = 2
/** Goes on at once at the instruction of the operand. */
const JUMP = 3
/** Goes on at once at the next instruction, at a place of the operand's kind. */
const PLACE = 4
/** Ends: the text matches. */
const ACCEPT = 5

const places: readonly Place['of'][] = ['start', 'end', 'word-edge', 'no-word-edge']

interface Program {
  readonly code: Int32Array
  /** Four words for each set. */
  readonly sets: Int32Array
}

class Assembler {
  readonly #code: number[] = []
  readonly #sets: number[] = []
  readonly #numbers = new Map<string, number>()

  assemble(expression: Expression): Program {
    this.#append(expression)
    this.#emit(ACCEPT, 0)
    return { code: Int32Array.from(this.#code), sets: Int32Array.from(this.#sets) }
  }

  #append(expression: Expression): void {
    switch (expression.kind) {
      case 'one':
        this.#emit(SET, this.#setNumber(expression.of))
        break
      case 'text':
        this.#appendText(expression.of)
        break
      case 'place':
        this.#emit(PLACE, places.indexOf(expression.of))
        break
      case 'sequence':
        for (const each of expression.of) this.#append(each)
        break
      case 'choice':
        this.#appendChoice(expression.of)
        break
      case 'repeat':
        this.#appendRepeat(expression.of, expression.least, expression.most)
        break
      default:
        expression satisfies never
    }
  }

  #appendText(text: string): void {
    for (let at = 0; at < text.length; at++) this.#emit(CHARACTER, text.charCodeAt(at))
  }

  #appendChoice(choices: readonly Expression[]): void {
    const ends: number[] = []
    for (const each of choices.slice(0, -1)) {
      const split = this.#emit(SPLIT, 0)
      this.#append(each)
      ends.push(this.#emit(JUMP, 0))
      this.#lead(SPLIT, split)
    }
    const last = choices.at(-1)
    if (last !== undefined) this.#append(last)
    for (const end of ends) this.#lead(JUMP, end)
  }

  #appendRepeat(of: Expression, least: number, most: number): void {
    let start = this.#code.length
    for (let time = 0; time < least; time++) {
      start = this.#code.length
      this.#append(of)
    }
    if (most !== Number.POSITIVE_INFINITY) this.#appendOptional(of, most - least)
    else if (least > 0) this.#emit(SPLIT, start)
    else this.#appendLoop(of)
  }

  #appendLoop(of: Expression): void {
    const split = this.#emit(SPLIT, 0)
    this.#append(of)
    this.#emit(JUMP, split)
    this.#lead(SPLIT, split)
  }

  /** Appends the expression `times` times. Each time may be the last: all lead to one end, past those after it. */
  #appendOptional(of: Expression, times: number): void {
    const splits: number[] = []
    for (let time = 0; time < times; time++) {
      splits.push(this.#emit(SPLIT, 0))
      this.#append(of)
    }
    for (const split of splits) this.#lead(SPLIT, split)
  }

  #emit(operation: number, operand: number): number {
    return this.#code.push((operand << OPERATION_BITS) | operation) - 1
  }

  /** Lets an instruction go on at the next one that is appended. */
  #lead(operation: number, at: number): void {
    this.#code[at] = (this.#code.length << OPERATION_BITS) | operation
  }

  #setNumber(set: CharacterSet): number {
    const key = set.join()
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    const number = this.#numbers.size
    this.#numbers.set(key, number)
    this.#sets.push(...set)
    return number
  }
}

/** The instructions of a run by their number, each a bit. Kept for the next run, since runs never nest. */
let now = new Int32Array(64)
let seen = new Int32Array(64)
let next = new Int32Array(64)
/** The first word of `now` at which the step has to look again. */
let again = 0

/** No set holds it and no pattern can: it stands for the end, and for every character that is not ASCII. */
const NO_CHARACTER = 0x7f

function run({ code, sets }: Program, text: string, from: number, to: number): boolean {
  const words = (code.length + 31) >> 5
  prepare(words)
  now[0] = 1
  for (let at = from; at < to; at++) {
    if (!step(code, sets, words, text, at, Math.min(text.charCodeAt(at), NO_CHARACTER))) return false
    const before = now
    now = next
    next = before
  }
  step(code, sets, words, text, to, NO_CHARACTER)
  const last = code.length - 1
  return ((seen[last >> 5] ?? 0) & (1 << (last & 31))) !== 0
}

function prepare(words: number): void {
  if (words > now.length) {
    now = new Int32Array(words)
    seen = new Int32Array(words)
    next = new Int32Array(words)
  }
  now.fill(0, 0, words)
  next.fill(0, 0, words)
}

/**
 * Goes through the instructions that are under way, forward and back again after a loop, each of them once. Leaves
 * `now` empty and fills `next`. Answers whether anything is under way after the character.
 */
function step(
  code: Int32Array,
  sets: Int32Array,
  words: number,
  text: string,
  at: number,
  character: number,
): boolean {
  for (let word = 0; word < words; word++) seen[word] = now[word] ?? 0
  let isUnderWay = false
  for (let word = 0; word < words; word = again) {
    again = word + 1
    for (let bits = now[word] ?? 0; bits !== 0; bits = now[word] ?? 0) {
      now[word] = bits & (bits - 1)
      const index = (word << 5) + 31 - Math.clz32(bits & -bits)
      const instruction = code[index] ?? ACCEPT
      const operand = instruction >> OPERATION_BITS
      switch (instruction & OPERATION_MASK) {
        case CHARACTER:
          if (operand === character) isUnderWay = leaveFor(index + 1)
          break
        case SET:
          if (((sets[4 * operand + (character >> 5)] ?? 0) >>> (character & 31)) & 1)
            isUnderWay = leaveFor(index + 1)
          break
        case SPLIT:
          enter(index + 1)
          enter(operand)
          break
        case JUMP:
          enter(operand)
          break
        case PLACE:
          if (isPlace(operand, text, at)) enter(index + 1)
          break
        default:
      }
    }
  }
  return isUnderWay
}

function enter(index: number): void {
  const word = index >> 5
  const bit = 1 << (index & 31)
  if (((seen[word] ?? 0) & bit) !== 0) return
  seen[word] = (seen[word] ?? 0) | bit
  now[word] = (now[word] ?? 0) | bit
  if (word < again - 1) again = word
}

function leaveFor(index: number): true {
  const word = index >> 5
  next[word] = (next[word] ?? 0) | (1 << (index & 31))
  return true
}

function isPlace(kind: number, text: string, at: number): boolean {
  switch (places[kind]) {
    case 'start':
      return at === 0
    case 'end':
      return at === text.length
    case 'word-edge':
      return isWord(text, at - 1) !== isWord(text, at)
    default:
      return isWord(text, at - 1) === isWord(text, at)
  }
}

function isWord(text: string, at: number): boolean {
  return /^\w$/.test(text.charAt(at))
}

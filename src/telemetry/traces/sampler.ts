import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace'

/** Which traces are made (OpenTelemetry specification, "Built-in samplers"). */
export interface SamplerOptions {
  readonly root: 'always_on' | 'always_off' | 'traceidratio'
  /** Whether a request whose `traceparent` decides is left to it. */
  readonly isParentBased: boolean
  /** The share of traces, for `traceidratio`. */
  readonly share: number
}

/** The sampler of these options. */
export function makeSampler({ root: name, isParentBased, share }: SamplerOptions): Sampler {
  const root = makeRoot(name, share)
  return isParentBased ? new ParentBasedSampler({ root }) : root
}

function makeRoot(name: SamplerOptions['root'], share: number): Sampler {
  switch (name) {
    case 'always_on':
      return new AlwaysOnSampler()
    case 'always_off':
      return new AlwaysOffSampler()
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(share)
    default:
      return name satisfies never
  }
}

import { native, Tensor, type Device } from "../native.js";
import { allocate, disposeAll, Spec, type Allocated } from "../nn/buffers.js";
import type { Parameters, ParameterLayout } from "../nn/parameters.js";

export interface AdamWSettings {
  readonly betas: readonly [number, number];
  readonly eps: number;
  /** Decoupled; of matrices only. */
  readonly weightDecay: number;
  /** Largest global norm of the gradient; larger ones are scaled down to it. null: no limit. */
  readonly gradClip: number | null;
}

export function adamwSpecs(device: Device, layout: ParameterLayout) {
  const flat = new Spec("f32", [layout.size]);
  return {
    gradient: flat,
    /** Exponential averages of the gradient and of its square. */
    firstMoment: flat,
    secondMoment: flat,
    norm: new Spec("f32", [1]),
    hyper: new Spec("f32", [8]),
    normWorkspace: new Spec("f32", [native.gradNormWorkspace(device, layout.size)]),
  };
}

/** AdamW over all parameters in one sweep, with global-norm clipping that never leaves the device. */
export class AdamW {
  readonly #tensors: Allocated<ReturnType<typeof adamwSpecs>>;
  /** Steps taken since the state was fresh. */
  stepsTaken = 0;

  constructor(private readonly parameters: Parameters) {
    this.#tensors = allocate(parameters.device, adamwSpecs(parameters.device, parameters.layout));
    this.reset();
  }

  /** f32 [P], flat: where the backward sums the gradient. */
  get gradient(): Tensor<"f32"> {
    return this.#tensors.gradient;
  }
  /** f32 [P], flat. */
  get firstMoment(): Tensor<"f32"> {
    return this.#tensors.firstMoment;
  }
  /** f32 [P], flat. */
  get secondMoment(): Tensor<"f32"> {
    return this.#tensors.secondMoment;
  }
  /** f32 [1]: the gradient's global norm before clipping, of the last step. */
  get norm(): Tensor<"f32"> {
    return this.#tensors.norm;
  }

  /** Forgets the moments: a fresh optimizer. */
  reset(): void {
    native.fill(this.firstMoment, 0);
    native.fill(this.secondMoment, 0);
    this.stepsTaken = 0;
  }

  zeroGradient(): void {
    native.fill(this.gradient, 0);
  }

  /** Updates the parameters by the gradient. Where that is not finite, nothing changes and `norm` tells. */
  step(learningRate: number, settings: AdamWSettings): void {
    this.prepareStep(learningRate, settings);
    this.applyStep();
  }

  /** Puts the numbers of the next step on the device: the part of a step that differs from the one before. */
  prepareStep(learningRate: number, { betas, eps, weightDecay, gradClip }: AdamWSettings): void {
    this.stepsTaken++;
    const correction = (beta: number) => 1 - beta ** this.stepsTaken;
    this.#tensors.hyper.write(
      Float32Array.of(
        learningRate, betas[0], betas[1], eps, weightDecay, correction(betas[0]), correction(betas[1]), gradClip ?? 0,
      ),
    );
  }

  /** The part of a step that is the same every time, and can be captured. */
  applyStep(): void {
    const { gradient, firstMoment, secondMoment, norm, hyper, normWorkspace } = this.#tensors;
    const { compute, master, layout } = this.parameters;
    native.gradNorm(norm, gradient, normWorkspace);
    native.adamw(compute, master, firstMoment, secondMoment, gradient, norm, hyper, layout.decayed);
  }

  dispose(): void {
    disposeAll(this.#tensors);
  }
}

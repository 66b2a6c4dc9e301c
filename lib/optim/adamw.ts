import { Arguments, describe } from "../arguments.js";
import { type Device, native, type Tensor } from "../native.js";
import { type Allocated, allocate, disposeAll, Spec } from "../nn/buffers.js";
import { type ParameterLayout, Parameters } from "../nn/parameters.js";

/** The settings of an update that are not the learning rate. */
export interface AdamWSettings {
  /** Decay rates of the averages of the gradient and of its square, each from 0 to below 1. */
  readonly betas: readonly [number, number];
  /** Added to the denominator of the update. */
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

/**
 * AdamW over all parameters in one sweep, with global-norm clipping that never leaves the device. `TrainingPass` shows a
 * loop with it.
 */
export class AdamW {
  readonly #tensors: Allocated<ReturnType<typeof adamwSpecs>>;
  /** Steps taken since the state was fresh, by which moments are corrected for their bias; may be set. */
  stepsTaken = 0;

  /**
   * Takes the memory for a gradient and two moments, in f32; the moments are zeros.
   * @param parameters a model's `parameters`, which `step` updates
   * @throws TypeError for what is none, OutOfMemoryError
   */
  constructor(private readonly parameters: Parameters) {
    if (!(parameters instanceof Parameters)) {
      new Arguments("AdamW").fail(TypeError, "parameters", "a model's parameters", describe(parameters));
    }
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

  /** Sets the gradient to zeros, before the first backward of a step. */
  zeroGradient(): void {
    native.fill(this.gradient, 0);
  }

  /**
   * Updates the parameters by the gradient. Where that is not finite, parameters and moments stay and `norm` tells: then
   * `stepsTaken` is to be set back by one.
   * @throws TypeError or RangeError for a rate or a setting that cannot be
   */
  step(learningRate: number, settings: AdamWSettings): void {
    this.prepareStep(learningRate, settings);
    this.applyStep();
  }

  /** Puts the numbers of the next step on the device: the part of a step that differs from the one before. */
  prepareStep(learningRate: number, settings: AdamWSettings): void {
    const check = new Arguments("AdamW.step");
    check.number("learningRate", learningRate, "a finite number", Number.isFinite);
    const { betas, eps, weightDecay, gradClip } = check.object("settings", settings);
    const rates = check.object("betas", betas);
    for (const i of [0, 1] as const) {
      check.number(`betas[${i}]`, rates[i], "a number from 0 to below 1", (beta) => beta >= 0 && beta < 1);
    }
    check.number("eps", eps, "a number above 0", (value) => value > 0);
    check.number("weightDecay", weightDecay, "a number of at least 0", (value) => value >= 0);
    if (gradClip !== null) check.number("gradClip", gradClip, "a number above 0, or null", (value) => value > 0);
    this.stepsTaken++;
    const correction = (beta: number) => 1 - beta ** this.stepsTaken;
    this.#tensors.hyper.write(
      Float32Array.of(
        learningRate,
        betas[0],
        betas[1],
        eps,
        weightDecay,
        correction(betas[0]),
        correction(betas[1]),
        gradClip ?? 0,
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

  /** Frees gradient and moments; the parameters stay. */
  dispose(): void {
    disposeAll(this.#tensors);
  }

  /** `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

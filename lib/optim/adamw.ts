import { Arguments } from "../arguments.js";
import { adamwDefaults, withDefaults } from "../config/optimizer_defaults.js";
import { limits } from "../limits.js";
import { type Device, native, type Tensor } from "../native.js";
import { type Allocated, allocate, disposeAll, Spec } from "../nn/buffers.js";
import { Exchange } from "../nn/exchange.js";
import { Gradients, gradientSpecs } from "../nn/gradients.js";
import { type ParameterLayout, Parameters } from "../nn/parameters.js";
import type { Sharding } from "../nn/sharding.js";
import { checkFreeze, Frozen, type OptimizerOptions } from "./frozen.js";

/** The settings of an update, except the learning rate. */
export interface AdamWSettings {
  /** Decay rates of the averages of the gradient and of its square, each from 0 to below 1. */
  readonly betas: readonly [number, number];
  /** Added to the denominator of the update. */
  readonly eps: number;
  /** Decoupled weight decay, applied to matrices only. */
  readonly weightDecay: number;
  /** Largest global norm of the gradient; larger ones are scaled down to it. null: no limit. */
  readonly gradClip: number | null;
}

/** The keys of AdamW's settings. */
export const keysOfAdamW = ["betas", "eps", "weightDecay", "gradClip"] as const;

/** What else a config's `optimizer` has, which may be given as it is. */
export const keysOfConfig = ["type", "lr", "freeze", "muon"] as const;

/** The ranges of the flat tensors that are updated: by bucket, each by a call of the kernel. */
function updatesOf(layout: ParameterLayout, sharding: Sharding, frozen: Frozen) {
  return sharding.buckets.flatMap((bucket) => {
    const own = sharding.ownBegin(bucket);
    const decayed = sharding.ownDecayed(bucket, layout.decayed);
    return frozen.trained(own, bucket.size / sharding.share.size).map(({ begin, size }) => {
      const offset = begin - own;
      return { bucket, offset, size, decayed: Math.max(0, Math.min(size, decayed - offset)) };
    });
  });
}

export function adamwSpecs(device: Device, layout: ParameterLayout, sharding: Sharding, frozen: Frozen) {
  const { buckets } = sharding;
  const { size: ranks } = sharding.share;
  const updates = updatesOf(layout, sharding, frozen).length;
  const own = new Spec("f32", [layout.size / ranks]);
  return {
    gradient: gradientSpecs(layout, sharding),
    /** Exponential averages of the gradient and of its square. */
    firstMoment: own,
    secondMoment: own,
    // Each call of the kernel has a count of its own.
    stepsTaken: new Spec("i32", [updates]),
    norm: new Spec("f32", [1]),
    hyper: new Spec("f32", [limits.adamwHyperSize]),
    corrections: new Spec("f32", [2 * updates]),
    normWorkspace: new Spec("f32", [native.gradNormWorkspace(device, layout.size)]),
    /** Norms of the buckets of each rank. */
    norms: ranks === 1 ? null : new Spec("f32", [ranks * buckets.length]),
  };
}

/**
 * AdamW over all parameters in one sweep, with global-norm clipping that stays on the device. `TrainingPass` shows a
 * loop with it.
 *
 * If the gradient of a step is not finite, the step is skipped: parameters, moments and `stepsTaken` are unchanged, and
 * `norm` is not finite. The device does this, so a loop that reads nothing back is correct, too: its later steps have
 * the same bits as without the skipped one.
 *
 * @example
 * ```ts
 * import { AdamW, Llama } from "nextpatch";
 *
 * using model = await Llama.load("runs/mine/model");
 * using optimizer = new AdamW(model.parameters, { freeze: ["model.embed_tokens.weight"] });
 * optimizer.zeroGradient(); // a TrainingPass adds to optimizer.gradient
 * optimizer.step(3e-4, { weightDecay: 0.01 });
 * const [norm] = await optimizer.norm.read();
 * console.log(norm); // 0
 * ```
 */
export class AdamW {
  readonly #tensors: Allocated<ReturnType<typeof adamwSpecs>>;
  readonly #frozen: Frozen;
  readonly #updates: ReturnType<typeof updatesOf>;
  /**
   * Where the backward of several ranks sums its gradients.
   * @internal
   */
  readonly gradients: Gradients;
  /**
   * What several ranks exchange in a step; null: there is one.
   * @internal
   */
  readonly exchange: Exchange | null;

  /**
   * Allocates a gradient and two moments, in f32; all are zeros.
   * @param parameters a model's `parameters`, which `step` updates
   * @throws TypeError or RangeError for a wrong argument, such as a pattern that matches no parameter; OutOfMemoryError
   */
  constructor(
    private readonly parameters: Parameters,
    options: OptimizerOptions = {},
  ) {
    const check = new Arguments("AdamW");
    check.instance("parameters", parameters, Parameters);
    check.tensor("parameters", parameters.master, { dtypes: ["f32"] });
    const { device, layout, sharding } = parameters;
    const freeze = checkFreeze(check, options, layout);
    if (sharding.shared && freeze.length > 0) check.fail(RangeError, "freeze", "none with several ranks", "patterns");
    this.#frozen = new Frozen(layout, freeze);
    this.#updates = updatesOf(layout, sharding, this.#frozen);
    this.#tensors = allocate(device, adamwSpecs(device, layout, sharding, this.#frozen));
    this.gradients = new Gradients(this.#tensors.gradient, sharding);
    this.exchange = sharding.shared ? new Exchange(parameters, this.gradients) : null;
    this.zeroGradient(); // padding too, which takes part in the norm and which no backward writes
    this.reset();
  }

  /** f32 [P], flat: where the backward sums the gradient. */
  get gradient(): Tensor<"f32"> {
    return this.gradients.flat;
  }
  /**
   * A parameter's part of `gradient`, in its shape.
   * @param name as in Hugging Face's model
   * @throws RangeError that names the nearest parameter, if there is none of this name
   */
  gradientOf(name: string): Tensor<"f32"> {
    const slot = this.parameters.named(new Arguments("AdamW.gradientOf"), name);
    return this.parameters.view(this.gradient, slot.name);
  }
  /** f32 [P], flat; of several ranks, the rank's own parts: [P / ranks]. */
  get firstMoment(): Tensor<"f32"> {
    return this.#tensors.firstMoment;
  }
  /** As `firstMoment`. */
  get secondMoment(): Tensor<"f32"> {
    return this.#tensors.secondMoment;
  }
  /**
   * i32, as often the same number as there are ranges to update (one, but for frozen parameters and several ranks):
   * updates since the moments were zeros, for the bias correction. The device counts them, without skipped steps. A saved
   * optimizer is restored by writing its moments and this count.
   */
  get stepsTaken(): Tensor<"i32"> {
    return this.#tensors.stepsTaken;
  }
  /** f32 [1]: the gradient's global norm before clipping, of the last step. */
  get norm(): Tensor<"f32"> {
    return this.#tensors.norm;
  }

  /** Resets the moments: a fresh optimizer. */
  reset(): void {
    native.fill(this.firstMoment, 0);
    native.fill(this.secondMoment, 0);
    native.fill(this.stepsTaken, 0);
  }

  /** Sets the gradient to zeros, before the first backward of a step. */
  zeroGradient(): void {
    this.gradients.zero();
  }

  /**
   * Enqueues an update of the parameters by the gradient.
   * @param settings what is left out has the config's default: betas 0.9 and 0.95, eps 1e-8, weightDecay 0.1, gradClip 1
   * @throws TypeError or RangeError for a wrong rate or setting
   */
  step(learningRate: number, settings: Partial<AdamWSettings> = {}): void {
    const check = new Arguments("AdamW.step");
    const given = check.options("settings", settings, [...keysOfAdamW, ...keysOfConfig]);
    this.#prepare(check, learningRate, withDefaults(adamwDefaults, given));
    this.applyStep();
  }

  /**
   * The part of `step` that differs from one step to the next: writes its values to the device.
   * @throws TypeError or RangeError for a wrong rate or setting
   */
  prepareStep(learningRate: number, settings: AdamWSettings): void {
    this.#prepare(new Arguments("AdamW.prepareStep"), learningRate, settings);
  }

  #prepare(check: Arguments, learningRate: number, settings: AdamWSettings): void {
    if (this.gradient.disposed) check.fail(TypeError, "this", "a live optimizer", "a disposed one");
    this.#tensors.hyper.write(adamwHyper(check, "learningRate", learningRate, settings));
  }

  /**
   * The part of `step` that is the same every time and can be captured. Of several ranks, each updates its part of the
   * weights, which `exchange` gathers later.
   * @param onNorm enqueues what happens between the norm's computation and its use; a NaN there skips the step
   */
  applyStep(onNorm?: (norm: Tensor<"f32">) => void): void {
    new Arguments("AdamW.applyStep").callback("onNorm", onNorm);
    const { firstMoment, secondMoment, stepsTaken, corrections, norm, hyper } = this.#tensors;
    const { compute, sharding } = this.parameters;
    if (this.exchange === null) {
      this.#frozen.clear(this.gradient);
      native.gradNorm(norm, this.gradient, this.#tensors.normWorkspace);
    } else {
      this.#normOfRanks(this.exchange);
    }
    onNorm?.(norm);
    this.#updates.forEach(({ bucket, offset, size, decayed }, index) => {
      const part = (own: Tensor) => own.narrow(0, offset, size);
      native.adamw(
        part(sharding.own(compute, bucket)),
        part(this.parameters.ownMaster(bucket)),
        part(sharding.kept(firstMoment, bucket)),
        part(sharding.kept(secondMoment, bucket)),
        stepsTaken.narrow(0, index, 1),
        corrections.narrow(0, 2 * index, 2),
        part(this.gradients.own(bucket)),
        norm,
        hyper,
        decayed,
      );
    });
  }

  /** The norm of the sum of the ranks' gradients, of which each has its part. */
  #normOfRanks(exchange: Exchange): void {
    const { norm, norms, normWorkspace } = this.#tensors;
    const { buckets, share } = this.parameters.sharding;
    const ownNorms = norms!.narrow(0, share.rank * buckets.length, buckets.length);
    for (const bucket of exchange.summed()) {
      native.gradNorm(ownNorms.narrow(0, buckets.indexOf(bucket), 1), this.gradients.own(bucket), normWorkspace);
    }
    exchange.wait(() => native.allGather(norms!, ownNorms, false));
    native.gradNorm(norm, norms!, normWorkspace);
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

/**
 * The values of `AdamWHyper` in native/kernels.h.
 * @param name the rate's, for messages
 * @throws TypeError or RangeError for a wrong rate or setting
 */
export function adamwHyper(
  check: Arguments,
  name: string,
  learningRate: number,
  settings: AdamWSettings,
): Float32Array {
  check.number(name, learningRate, "a finite number", Number.isFinite);
  const { betas, eps, weightDecay, gradClip } = check.object("settings", settings);
  const rates = check.object("betas", betas);
  const beta = (i: 0 | 1) =>
    check.number(`betas[${i}]`, rates[i], "a number from 0 to below 1", (rate) => rate >= 0 && rate < 1);
  const [beta1, beta2] = [beta(0), beta(1)];
  check.number("eps", eps, "a number above 0", (value) => value > 0);
  check.number("weightDecay", weightDecay, "a number of at least 0", (value) => value >= 0);
  if (gradClip !== null) check.number("gradClip", gradClip, "a number above 0, or null", (value) => value > 0);
  // The rounding error of a beta: the bias correction is computed with more precision than f32.
  const rest = (rate: number) => rate - Math.fround(rate);
  return Float32Array.of(learningRate, beta1, beta2, eps, weightDecay, rest(beta1), rest(beta2), gradClip ?? 0);
}

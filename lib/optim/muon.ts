import { Arguments } from "../arguments.js";
import { adamwDefaults, muonDefaults, withDefaults } from "../config/optimizer_defaults.js";
import { limits } from "../limits.js";
import { type Device, native, type Tensor } from "../native.js";
import { type Allocated, allocate, disposeAll, Spec } from "../nn/buffers.js";
import { type ParameterLayout, Parameters } from "../nn/parameters.js";
import { type AdamWSettings, adamwHyper, keysOfAdamW, keysOfConfig } from "./adamw.js";
import { checkFreeze, Frozen, type OptimizerOptions } from "./frozen.js";
import { hiddenRange, matrixStacks, stackView } from "./muon_layout.js";
import { checkedSettings, type MuonRates, type MuonSettings } from "./muon_settings.js";
import { MuonStack, muonStackSpecs, stackSizes } from "./muon_stack.js";

/** The ranges that AdamW updates, before the matrices (the embedding) and behind them (the head and the vectors). */
function updatesOf(layout: ParameterLayout, frozen: Frozen) {
  const hidden = hiddenRange(layout);
  const end = hidden.begin + hidden.size;
  const before = frozen
    .trained(0, hidden.begin)
    .map((range) => ({ ...range, state: range.begin, decayed: range.size }));
  const behind = frozen.trained(end, layout.size - end).map((range) => {
    const decayed = Math.max(0, Math.min(range.size, layout.decayed - range.begin));
    return { ...range, state: range.begin - hidden.size, decayed };
  });
  return [...before, ...behind];
}

export function muonSpecs(device: Device, layout: ParameterLayout, dtype: "f32" | "bf16", frozen: Frozen) {
  const hidden = hiddenRange(layout);
  const updates = Math.max(1, updatesOf(layout, frozen).length);
  const others = new Spec("f32", [layout.size - hidden.size]);
  return {
    gradient: new Spec("f32", [layout.size]),
    /** Exponential average of the gradient of the layers' matrices. */
    momentum: new Spec("f32", [hidden.size]),
    /** Exponential averages of the gradient of the others and of its square. */
    firstMoment: others,
    secondMoment: others,
    // Each of AdamW's calls has a count of its own.
    stepsTaken: new Spec("i32", [updates]),
    corrections: new Spec("f32", [2 * updates]),
    norm: new Spec("f32", [1]),
    adamwHyper: new Spec("f32", [limits.adamwHyperSize]),
    muonHyper: new Spec("f32", [limits.muonHyperSize]),
    normWorkspace: new Spec("f32", [native.gradNormWorkspace(device, layout.size)]),
    stack: muonStackSpecs(device, layout, dtype),
  };
}

/**
 * Muon, as torch.optim.Muon defines it, for the matrices of the layers, each as Hugging Face has it; AdamW for
 * embedding, head and vectors. Used as `AdamW` is, which documents what they have in common: clipping by the global norm
 * of all gradients, and the skipping of steps whose gradient is not finite.
 *
 * @example
 * ```ts
 * import { Llama, Muon, presets, TrainingPass } from "nextpatch";
 *
 * using model = Llama.create({ ...presets.tiny, vocab_size: 4096 }, { seed: 1 });
 * using optimizer = new Muon(model.parameters);
 * using pass = new TrainingPass(model, optimizer.gradient, { sequences: 2, positions: 16, patchSize: 4 });
 * optimizer.zeroGradient();
 * pass.run(Int32Array.from({ length: 2 * 16 * 4 }, (_, i) => i % 97));
 * optimizer.step({ adamw: 1e-3, muon: 0.02 }, { weightDecay: 0.05, muon: { nsSteps: 6 } });
 * console.log(await pass.loss.read());
 * ```
 */
export class Muon {
  readonly #tensors: Allocated<ReturnType<typeof muonSpecs>>;
  readonly #stacks: readonly MuonStack[];
  readonly #frozen: Frozen;
  readonly #updates: ReturnType<typeof updatesOf>;
  #settings: MuonSettings["muon"] | null = null;

  /**
   * Allocates a gradient, the momentum of the matrices, two moments of the others, all in f32 and zeros, and what the
   * iteration needs.
   * @param parameters a model's `parameters`, which `step` updates
   * @throws as `AdamW`
   */
  constructor(
    private readonly parameters: Parameters,
    options: OptimizerOptions = {},
  ) {
    const check = new Arguments("Muon");
    check.instance("parameters", parameters, Parameters);
    check.tensor("parameters", parameters.master, { dtypes: ["f32"] });
    const { device, layout, dtype, master, compute } = parameters;
    const frozen = new Frozen(layout, checkFreeze(check, options, layout));
    this.#frozen = frozen;
    this.#updates = updatesOf(layout, frozen);
    this.#tensors = allocate(device, muonSpecs(device, layout, dtype, frozen));
    const { gradient, momentum, norm, muonHyper, stack: memory } = this.#tensors;
    const { begin, size } = hiddenRange(layout);
    const hidden = <T extends Tensor>(flat: T) => flat.narrow(0, begin, size) as T;
    this.#stacks = matrixStacks(layout).flatMap((stack) =>
      stackSizes(device.backend, stack, (name) => !frozen.has(name)).map(({ first, count }) => {
        const view = <T extends Tensor>(of: T) => stackView(of, stack, first, count);
        const tensors = {
          param: view(hidden(compute)),
          master: view(hidden(master)),
          momentum: view(momentum),
          gradient: view(hidden(gradient)),
          norm,
          hyper: muonHyper,
        };
        return new MuonStack(tensors, stack, memory);
      }),
    );
    this.zeroGradient(); // padding too, which takes part in the norm and which no backward writes
    this.reset();
  }

  /** f32 [P], flat: where the backward sums the gradient. */
  get gradient(): Tensor<"f32"> {
    return this.#tensors.gradient;
  }
  /**
   * A parameter's part of `gradient`, in its shape.
   * @param name as in Hugging Face's model
   * @throws RangeError that names the nearest parameter, if there is none of this name
   */
  gradientOf(name: string): Tensor<"f32"> {
    const slot = this.parameters.named(new Arguments("Muon.gradientOf"), name);
    return this.parameters.view(this.gradient, slot.name);
  }
  /** f32, flat: of the layers' matrices, in the order of the flat parameters. */
  get momentum(): Tensor<"f32"> {
    return this.#tensors.momentum;
  }
  /** f32, flat: AdamW's, of the other parameters, in the order of the flat parameters. */
  get firstMoment(): Tensor<"f32"> {
    return this.#tensors.firstMoment;
  }
  /** f32, flat, as `firstMoment`. */
  get secondMoment(): Tensor<"f32"> {
    return this.#tensors.secondMoment;
  }
  /** i32 [2], or as many as AdamW has ranges to update: the number of updates, as `AdamW.stepsTaken`. */
  get stepsTaken(): Tensor<"i32"> {
    return this.#tensors.stepsTaken;
  }
  /** f32 [1]: the gradient's global norm before clipping, of the last step. */
  get norm(): Tensor<"f32"> {
    return this.#tensors.norm;
  }

  /** Resets momentum and moments: a fresh optimizer. */
  reset(): void {
    for (const state of [this.momentum, this.firstMoment, this.secondMoment, this.stepsTaken]) native.fill(state, 0);
  }

  /** Sets the gradient to zeros, before the first backward of a step. */
  zeroGradient(): void {
    native.fill(this.gradient, 0);
  }

  /**
   * Enqueues an update of the parameters by the gradient.
   * @param settings what is left out has the config's default: AdamW's as of `AdamW.step`; momentum 0.95, nesterov true,
   *   nsSteps 5, adjustLr "original"
   * @throws TypeError or RangeError for a wrong rate or setting
   */
  step(
    learningRates: MuonRates,
    settings: Partial<AdamWSettings> & { readonly muon?: Partial<MuonSettings["muon"]> } = {},
  ): void {
    const check = new Arguments("Muon.step");
    const { muon = {} } = check.options("settings", settings, [...keysOfAdamW, ...keysOfConfig]);
    const given = check.options("muon", muon, ["momentum", "nesterov", "nsSteps", "adjustLr", "lr"]);
    const matrices = withDefaults<MuonSettings["muon"]>(muonDefaults, given);
    this.#prepare(check, learningRates, { ...withDefaults<AdamWSettings>(adamwDefaults, settings), muon: matrices });
    this.applyStep();
  }

  /**
   * The part of `step` that differs from one step to the next: writes its values to the device.
   * @throws TypeError or RangeError for a wrong rate or setting
   */
  prepareStep(learningRates: MuonRates, settings: MuonSettings): void {
    this.#prepare(new Arguments("Muon.prepareStep"), learningRates, settings);
  }

  #prepare(check: Arguments, learningRates: MuonRates, settings: MuonSettings): void {
    if (this.gradient.disposed) check.fail(TypeError, "this", "a live optimizer", "a disposed one");
    const rates = check.options("learningRates", learningRates, ["adamw", "muon"]);
    const hyper = adamwHyper(check, "learningRates.adamw", rates.adamw, settings);
    check.number("learningRates.muon", rates.muon, "a finite number", Number.isFinite);
    this.#settings = checkedSettings(check, settings.muon);
    this.#tensors.adamwHyper.write(hyper);
    const { momentum } = this.#settings;
    this.#tensors.muonHyper.write(Float32Array.of(rates.muon, momentum, settings.weightDecay, settings.gradClip ?? 0));
  }

  /**
   * The part of `step` that is the same every time and can be captured, as long as `nesterov`, `nsSteps` and `adjustLr`
   * of the settings stay the same.
   * @param onNorm as of `AdamW.applyStep`
   * @throws TypeError if no step was prepared before
   */
  applyStep(onNorm?: (norm: Tensor<"f32">) => void): void {
    new Arguments("Muon.applyStep").callback("onNorm", onNorm);
    const settings = this.#settings;
    if (settings === null) {
      throw new TypeError("Muon.applyStep: this: expected a prepared step but received none (call prepareStep)");
    }
    const { gradient, norm, normWorkspace } = this.#tensors;
    this.#frozen.clear(gradient);
    native.gradNorm(norm, gradient, normWorkspace);
    onNorm?.(norm);
    this.#applyAdamW();
    for (const stack of this.#stacks) stack.apply(settings);
  }

  #applyAdamW(): void {
    const { gradient, firstMoment, secondMoment, stepsTaken, corrections, norm, adamwHyper } = this.#tensors;
    const { compute, master } = this.parameters;
    this.#updates.forEach(({ begin, size, state, decayed }, index) => {
      const parameter = <T extends Tensor>(flat: T) => flat.narrow(0, begin, size);
      const moment = (flat: Tensor<"f32">) => flat.narrow(0, state, size);
      native.adamw(
        parameter(compute),
        parameter(master),
        moment(firstMoment),
        moment(secondMoment),
        stepsTaken.narrow(0, index, 1),
        corrections.narrow(0, 2 * index, 2),
        parameter(gradient),
        norm,
        adamwHyper,
        decayed,
      );
    });
  }

  /** Frees gradient, momentum and moments; the parameters stay. */
  dispose(): void {
    disposeAll(this.#tensors);
  }

  /** `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * How the pages look: a compact form of typedoc-plugin-markdown's. A class has one table of its properties and
 * accessors, and a function one block of code, its parameters and its tags, without a heading for each.
 *
 * It is copied beside the packages that it imports.
 */
import { Converter, ReflectionKind } from "typedoc";
import { MarkdownTheme, MarkdownThemeContext } from "typedoc-plugin-markdown";

/** Called by typedoc. */
export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    turnAccessors(project);
    liftNamespaces(project);
    completeTensor(project);
  });
  app.renderer.defineTheme("compact", CompactTheme);
}

/** `flashAttention.backward` is a function of the module, beside `flashAttention`, and not a page of its own. */
function liftNamespaces(project) {
  for (const namespace of project.getReflectionsByKind(ReflectionKind.Namespace)) {
    const { parent, name } = namespace;
    for (const child of [...(namespace.children ?? [])]) {
      namespace.removeChild(child);
      child.name = `${name}.${child.name}`;
      for (const signature of child.signatures ?? []) signature.name = child.name;
      child.parent = parent;
      parent.addChild(child);
    }
    project.removeReflection(namespace);
  }
}

/**
 * `Tensor` is a value and a type with the name of the addon's class, so that the addon is loaded when it is first needed.
 * A reader has one class, with that one's members: `TensorClass` of pages/devices.ts.
 */
function completeTensor(project) {
  const [own] = project.getReflectionsByKind(ReflectionKind.Class).filter(({ name }) => name === "TensorClass");
  const module = own.parent;
  const alias = module.children.find(({ name, kind }) => name === "Tensor" && kind === ReflectionKind.TypeAlias);
  const value = module.children.find(({ name, kind }) => name === "Tensor" && kind === ReflectionKind.Variable);
  alias.kind = ReflectionKind.Class;
  alias.comment = value.comment;
  delete alias.type;
  for (const child of [...own.children]) {
    own.removeChild(child);
    child.parent = alias;
    alias.addChild(child);
    if (child.kind === ReflectionKind.Constructor) for (const signature of child.signatures) signature.name = "Tensor";
  }
  project.removeReflection(own);
  project.removeReflection(value);
}

/** A getter is read as a property is, and both are in one table. */
function turnAccessors(project) {
  for (const accessor of project.getReflectionsByKind(ReflectionKind.Accessor)) {
    const { getSignature } = accessor;
    if (getSignature === undefined) throw new Error(`${accessor.getFullName()}: a setter without a getter`);
    accessor.kind = ReflectionKind.Property;
    accessor.type = getSignature.type;
    accessor.comment ??= getSignature.comment;
    delete accessor.getSignature;
    project.removeReflection(getSignature);
  }
}

class CompactTheme extends MarkdownTheme {
  getRenderContext(page) {
    return new CompactContext(this, page, this.application.options);
  }
}

const introduction = [
  "Every export of `nextpatch`, and of `nextpatch/kernels`, one page for each part of it. An editor shows the same beside",
  "the code. Every function and every class has an example. [The guides](../guides/README.md) put them together;",
  "[the examples](../../examples/README.md) are whole programs.",
].join("\n");

const sections = [
  ["Classes", ReflectionKind.Class],
  ["Functions", ReflectionKind.Function],
  ["Values", ReflectionKind.Variable],
  ["Types", ReflectionKind.Interface | ReflectionKind.TypeAlias],
];

class CompactContext extends MarkdownThemeContext {
  templates = {
    ...this.templates,
    reflection: ({ model }) => (model.kindOf(ReflectionKind.Module) ? this.#page(model) : this.#index(model)),
  };

  partials = {
    ...this.partials,
    constructor: (model) =>
      `### Constructor\n\n${model.signatures.map((signature) => this.#signature(signature)).join("\n\n")}`,
    signatures: (model) => model.signatures.map((signature) => this.#signature(signature)).join("\n\n"),
    signature: (model) => this.#signature(model),
    inheritance: () => "",
    declaration: (model) => this.#declaration(model),
    memberWithGroups: (model, options) => this.#withMembers(model, options),
  };

  /** All modules, with what each says of itself. */
  #index(project) {
    const modules = [...project.children].sort((a, b) => (a.name < b.name ? -1 : 1));
    const lines = modules.map((module) => {
      const text = this.helpers.getCommentParts(module.comment.summary);
      const [first] = /^[\s\S]*?\.(?=\s|$)/.exec(text);
      return `| [${module.name}](${module.name}.md) | ${first.replace(/\s+/g, " ")} |`;
    });
    return `# API\n\n${introduction}\n\n${["| page | |", "|---|---|", ...lines].join("\n")}\n`;
  }

  #page(module) {
    const text = [`# API: ${module.name}`, this.helpers.getCommentParts(module.comment.summary)];
    const lists = sections.flatMap(([title, kinds]) => {
      const members = module.children.filter((child) => child.kindOf(kinds));
      if (members.length === 0) return [];
      const links = members.map((child) => `[${child.name}](#${this.router.getAnchor(child)})`);
      return [`- ${title}: ${links.join(", ")}`];
    });
    const members = sections.flatMap(([, kinds]) => module.children.filter((child) => child.kindOf(kinds)));
    const all = members.map((child) => {
      // Two names that differ in case alone have one slug: a heading's own anchor is that of the first.
      const anchor = this.router.getAnchor(child);
      const place = /-\d+$/.test(anchor) ? `<a id="${anchor}"></a>\n\n` : "";
      return place + this.partials.memberContainer(child, { headingLevel: 2 });
    });
    return `${[...text, lists.join("\n"), ...all].join("\n\n")}\n`;
  }

  /** A class or an interface, or a type with properties. */
  #withMembers(model, { headingLevel }) {
    const parts = [];
    const parents = model.kindOf(ReflectionKind.Class | ReflectionKind.Interface) ? (model.extendedTypes ?? []) : [];
    if (parents.length > 0) {
      parts.push(`Extends ${parents.map((type) => this.partials.someType(type)).join(", ")}.`);
    }
    if (model.kind === ReflectionKind.TypeAlias) parts.push(this.partials.declarationTitle(model));
    if (model.comment) parts.push(this.#comment(model.comment));
    const children = model.children ?? [];
    const of = (kind) => children.filter((child) => child.kindOf(kind));
    const properties = of(ReflectionKind.Property);
    for (const made of of(ReflectionKind.Constructor)) parts.push(this.partials.constructor(made));
    if (properties.length > 0) parts.push(this.partials.propertiesTable(properties, { kind: model.kind }));
    for (const method of of(ReflectionKind.Method)) parts.push(this.partials.memberContainer(method, { headingLevel }));
    return parts.join("\n\n");
  }

  /** A value, or a type without properties: its code says all of it. */
  #declaration(model) {
    return `${this.partials.declarationTitle(model)}\n\n${this.#comment(model.comment)}`;
  }

  /** A call of a function, a method or a constructor. */
  #signature(model) {
    // A name with a dot is a method's of a function, and no name in quotes.
    const parts = [this.partials.signatureTitle(model).replace(/"([\w.]+)"(?=[<(])/, "$1")];
    const comment = model.comment ?? model.parent.comment;
    if (comment) parts.push(this.helpers.getCommentParts(comment.summary));
    const { parameters = [] } = model;
    if (parameters.length > 0) parts.push(this.partials.parametersTable(parameters));
    if (comment) parts.push(this.#tags(comment));
    return parts.filter((part) => part !== "").join("\n\n");
  }

  #comment(comment) {
    return [this.helpers.getCommentParts(comment.summary), this.#tags(comment)]
      .filter((part) => part !== "")
      .join("\n\n");
  }

  #tags({ blockTags }) {
    return blockTags
      .map(({ tag, content }) => {
        const text = this.helpers.getCommentParts(content);
        const title = `**${tag[1].toUpperCase()}${tag.slice(2)}**`;
        return text.startsWith("```") ? text : `${title}: ${text}`;
      })
      .join("\n\n");
  }
}

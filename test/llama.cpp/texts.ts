/** Tokenizers that split words in different ways, and texts that show the difference. */

const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };

/** A tokenizer.json's `pre_tokenizer` that splits by an expression. */
function splitBy(Regex: string): object {
  const split = { type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false };
  return { type: "Sequence", pretokenizers: [split, { ...byteLevel, use_regex: false }] };
}

/** Llama 3's expression and Qwen 2's, as their tokenizer.json have them, which differ in the digits alone. */
const expression = (digits: string) =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|` +
  "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Every kind that is exported. */
export const preTokenizers = [
  { name: "as trained here", preTokenizer: byteLevel, ignoreMerges: false },
  {
    name: "as SmolLM",
    preTokenizer: { type: "Sequence", pretokenizers: [{ type: "Digits", individual_digits: true }, byteLevel] },
    ignoreMerges: false,
  },
  { name: "as Llama 3", preTokenizer: splitBy(expression("\\p{N}{1,3}")), ignoreMerges: true },
  { name: "as Llama 3, through the merges", preTokenizer: splitBy(expression("\\p{N}{1,3}")), ignoreMerges: false },
  { name: "as Qwen 2", preTokenizer: splitBy(expression("\\p{N}")), ignoreMerges: false },
];

export const texts: readonly string[] = [
  "The quick brown fox jumps over the lazy dog.",
  "it's you're I'VE they'll we'd I'm don't 'tis rock'n'roll",
  "1 12 123 1234 12345 1,234,567.89 3.14e-10 $5 50% 2/3 ½ ² Ⅷ ٣٤",
  "   leading, trailing   ",
  "double  triple   tab\tand\t\ttabs \t mixed",
  "line\nline\n\nline\r\nline\r\n\r\n  \n indented\n\tindented\n",
  "\n",
  " ",
  "naïve café Ångström Ünïcödé São Paulo Œuvre ß",
  "cafe\u0301 combining; \u00a0non-breaking\u2003em\u200bzero",
  "“curly” ‘quotes’ – en — em … ellipsis",
  "(a)[b]{c}<d> e@f.com #tag a_b-c/d\\e|f ~`^&*+=?!?!",
  "Привет мир, Ελληνικά, 日本語の文章, 한국어, العربية, עברית, हिन्दी",
  "😀 👩‍👩‍👧 🇨🇭 ok🙂ok",
  "def f(x):\n    return x**2  # a comment\n\n\nclass A: pass",
  "https://example.org/a?b=c&d=1#e",
  "ALLCAPS camelCase snake_case x2y3z",
];

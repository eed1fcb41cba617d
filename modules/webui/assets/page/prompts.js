// Keys of the prompt boxes: weights of words and the order of phrases.
const write = (area, from, to, text, selectFrom, selectTo) => {
  area.setRangeText(text, from, to, 'preserve');
  area.setSelectionRange(selectFrom, selectTo);
  area.dispatchEvent(new Event('input', { bubbles: true }));
};
const WHITESPACE = { Tab: '\t', 'Carriage Return': '\r', 'Line Feed': '\n' };
let delimiters = new Set('.,\\/!?%^*;:{}=`~() \t\r\n'), stepOfWeight = 0.1, stepOfNetwork = 0.05, moves = true;
studio.visitor().then(({ options }) => {
  if (options.keyedit_delimiters === undefined) return;
  delimiters = new Set(options.keyedit_delimiters + options.keyedit_delimiters_whitespace.map((name) => WHITESPACE[name] ?? '').join(''));
  stepOfWeight = options.keyedit_precision_attention;
  stepOfNetwork = options.keyedit_precision_extra;
  moves = options.keyedit_move;
});
const rounded = (weight) => Math.round(weight * 1000) / 1000;
const enclosing = (text, from, to, open, close) => {
  let depth = 0, start = -1;
  for (let i = from - 1; i >= 0; i--) {
    if (text[i] === close && text[i - 1] !== '\\') depth++;
    else if (text[i] === open && text[i - 1] !== '\\' && depth-- === 0) { start = i; break; }
  }
  if (start < 0) return null;
  depth = 0;
  for (let i = to; i < text.length; i++) {
    if (text[i] === open && text[i - 1] !== '\\') depth++;
    else if (text[i] === close && text[i - 1] !== '\\' && depth-- === 0) return [start, i];
  }
  return null;
};
const changeWeight = (area, up) => {
  const text = area.value;
  let from = area.selectionStart, to = area.selectionEnd;
  const angle = enclosing(text, from, to, '<', '>');
  const step = (angle ? stepOfNetwork : stepOfWeight) * (up ? 1 : -1);
  const bracket = angle || enclosing(text, from, to, '(', ')');
  const inside = bracket && text.slice(bracket[0] + 1, bracket[1]).match(/^([^]*?):\s*(-?[\d.]+)\s*$/);
  if (bracket && inside) {
    const weight = rounded(Number(inside[2]) + step);
    if (weight === 1 && !angle) {
      write(area, bracket[0], bracket[1] + 1, inside[1], bracket[0], bracket[0] + inside[1].length);
    } else {
      write(area, bracket[0] + 1, bracket[1], `${inside[1]}:${weight}`, bracket[0] + 1, bracket[0] + 1 + inside[1].length);
    }
    return;
  }
  if (angle) return;
  if (from === to) {
    while (from > 0 && !delimiters.has(text[from - 1])) from--;
    while (to < text.length && !delimiters.has(text[to])) to++;
  }
  while (to > from && text[to - 1] === ' ') to--;
  if (from === to) return;
  const word = text.slice(from, to);
  write(area, from, to, `(${word}:${rounded(1 + step)})`, from + 1, from + 1 + word.length);
};
const movePhrase = (area, by) => {
  const phrases = area.value.split(',');
  let at = 0, end = phrases[0].length;
  while (end < area.selectionStart && at < phrases.length - 1) end += 1 + phrases[++at].length;
  const other = at + by;
  if (other < 0 || other >= phrases.length) return;
  const bare = phrases.map((phrase) => phrase.trim());
  [bare[at], bare[other]] = [bare[other], bare[at]];
  const start = bare.slice(0, other).join(', ').length + (other ? 2 : 0);
  write(area, 0, area.value.length, bare.join(', '), start, start + bare[other].length);
};
document.addEventListener('keydown', (event) => {
  const area = event.target.closest?.('.prompt')?.querySelector('textarea');
  if (!area || event.isComposing) return;
  const command = event.ctrlKey || event.metaKey;
  if (command && (event.key === 'ArrowUp' || event.key === 'ArrowDown')) changeWeight(area, event.key === 'ArrowUp');
  else if (moves && event.altKey && (event.key === 'ArrowLeft' || event.key === 'ArrowRight')) movePhrase(area, event.key === 'ArrowLeft' ? -1 : 1);
  else return;
  event.preventDefault();
  event.stopPropagation();
}, true);

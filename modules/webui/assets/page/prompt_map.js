// Below the words of a prompt: the chunks of 75 tokens as bands, words that are cut or in pieces, unknown tags.
const maps = new WeakMap();   // textarea -> { text, found, mirror, asked }
const NOTHING = { count: 0, limit: 75, sizes: [0], bands: [], words: [], tags: [] };

const mirrorOf = (area) => {
  let state = maps.get(area);
  if (state?.mirror.isConnected) return state;
  const mirror = studio.make('div', { class: 'prompt-mirror', 'aria-hidden': 'true', translate: 'no' });
  area.parentElement.classList.add('has-mirror');
  area.before(mirror);
  state = { text: '', found: NOTHING, mirror, asked: 0 };
  maps.set(area, state);
  area.addEventListener('scroll', () => { mirror.scrollTop = area.scrollTop; }, { passive: true });
  return state;
};
/** Where the caret is on the screen. */
studio.caretPlace = (area) => {
  const { mirror } = mirrorOf(area);
  draw(area);
  const walker = document.createTreeWalker(mirror, NodeFilter.SHOW_TEXT);
  let left = area.selectionStart;
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (left <= node.length) {
      const range = document.createRange();
      range.setStart(node, left);
      range.collapse(true);
      const place = range.getBoundingClientRect();
      return place.height ? place : area.getBoundingClientRect();
    }
    left -= node.length;
  }
  return area.getBoundingClientRect();
};

/** Marks of an older text, moved to where their words are now. */
const moved = (marks, before, now) => {
  let start = 0, end = 0;
  const shortest = Math.min(before.length, now.length);
  while (start < shortest && before[start] === now[start]) start++;
  while (end < shortest - start && before[before.length - 1 - end] === now[now.length - 1 - end]) end++;
  const shift = now.length - before.length, tail = before.length - end;
  const kept = Math.max(start, now.length - end);
  const begin = (at) => (at >= tail ? at + shift : Math.min(at, kept));
  const finish = (at) => (at > tail ? at + shift : Math.min(at, kept));   // what is typed behind a word is not of it
  return marks.map((mark) => ({ ...mark, start: begin(mark.start), end: finish(mark.end) })).filter((mark) => mark.end > mark.start);
};
const classesAt = (found, from, to) => {
  const covers = (mark) => mark.start <= from && mark.end >= to;
  const names = [];
  const band = found.sizes.length > 1 && found.bands.findLast(covers);
  if (band) names.push(`chunk chunk-${band.chunk % 4}`);
  for (const word of found.words) if (covers(word)) names.push(word.embedding ? 'is-known' : word.cut ? 'is-cut' : 'in-pieces');
  for (const tag of found.tags) if (covers(tag)) names.push(tag.known ? 'is-known' : 'is-unknown');
  return names.join(' ');
};
const draw = (area) => {
  const { text, found, mirror } = mirrorOf(area);
  const marks = [...found.bands, ...found.words, ...found.tags];
  const cuts = [...new Set([0, text.length, ...marks.flatMap((mark) => [mark.start, mark.end])])].sort((a, b) => a - b);
  const parts = [];
  for (let i = 0; i + 1 < cuts.length; i++) {
    const name = classesAt(found, cuts[i], cuts[i + 1]), piece = text.slice(cuts[i], cuts[i + 1]);
    parts.push(name ? studio.make('span', { class: name }, piece) : piece);
  }
  mirror.replaceChildren(...parts, '\n');
  mirror.scrollTop = area.scrollTop;
};

const tabOf = (area) => area.closest('.studio-tab')?.id.replace('_page', '');
const isNegative = (area) => Boolean(area.closest('[id$="_neg_prompt"]'));
const counterOf = (area) => document.querySelector(`#${tabOf(area)}_${isNegative(area) ? 'negative_' : ''}token_counter .counter-button`);

const unbalanced = (text) => [['(', ')'], ['[', ']'], ['{', '}']].filter(([open, close]) => {
  let depth = 0, broken = false;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') { i++; continue; }
    if (text[i] === open) depth++;
    else if (text[i] === close && --depth < 0) broken = true;
  }
  return broken || depth !== 0;
});
const warnings = (text, found) => [
  ...unbalanced(text).map(([open, close]) => studio.text('The brackets {0} {1} do not come in pairs.', open, close)),
  ...found.tags.filter((tag) => !tag.known).map((tag) => studio.text('There is nothing named {0} for this tag, so it will be left out.', tag.name)),
  ...found.words.filter((word) => word.cut).map((word) => studio.text('{0} lies across the end of a chunk and is read in two halves.', text.slice(word.start, word.end))),
];
const show = (area) => {
  const { text, found } = mirrorOf(area);
  const counter = counterOf(area);
  draw(area);
  if (!counter) return;
  counter.textContent = `${found.count}/${found.limit}`;
  counter.classList.toggle('has-warning', warnings(text, found).length > 0);
  if (popover?.matches(':popover-open') && explained === area) explain(area);
};
const ask = async (area) => {
  const state = mirrorOf(area), text = area.value, tab = tabOf(area), number = ++state.asked;
  const { options } = await studio.visitor();
  if (options.disable_token_counters) { counterOf(area)?.replaceChildren(); return; }
  const styles = studio.form.value(tab, 'styles') || [];
  const steps = Math.min(1000, Math.max(1, Math.round(Number(studio.form.value(tab, 'steps')) || 20)));
  const wanted = { text, negative: isNegative(area), steps, styles: [...styles].slice(0, 100) };
  const found = text.trim() || styles.length ? await studio.ask('POST', 'prompts/map', wanted).catch(() => null) : NOTHING;
  if (!found || number !== state.asked || area.value !== text) return;
  Object.assign(state, { text, found });
  show(area);
};
const asks = new WeakMap();
const askSoon = (area) => {
  if (!asks.has(area)) asks.set(area, studio.settled(250, () => ask(area)));
  asks.get(area)();
};
const follow = (area) => {
  const state = mirrorOf(area), text = area.value;
  if (state.text !== text) {
    const move = (marks) => moved(marks, state.text, text);
    state.found = { ...state.found, bands: move(state.found.bands), words: move(state.found.words), tags: move(state.found.tags) };
    state.text = text;
    draw(area);
  }
  askSoon(area);
};
for (const name of ['input', 'focusin']) {
  document.addEventListener(name, (event) => { if (event.target.matches?.('.prompt textarea')) follow(event.target); });
}
// what events of Gradio write arrives as a change of the form
document.addEventListener('studio-form', ({ detail: tab }) => {
  for (const area of document.querySelectorAll(`#${tab}_page .prompt textarea`)) setTimeout(() => follow(area), 60);
});

// --- what the counter tells when it is pressed
let popover, explained;
const explain = (area) => {
  explained = area;
  const { text, found } = mirrorOf(area);
  const chunks = found.sizes.map((size, i) => studio.make('li', { class: `chunk-line chunk-${i % 4}` },
    studio.make('span', {}, studio.text('Chunk {0}', i + 1)),
    studio.make('span', { class: 'chunk-bar' }, studio.make('i', { style: `width: ${(size / 75) * 100}%` })),
    studio.make('span', { class: 'chunk-size' }, `${size}/75`)));
  const pieces = found.words.filter((word) => word.pieces.length > 1 && !word.cut && !word.embedding);
  const embeddings = [...new Set(found.words.filter((word) => word.embedding).map((word) => word.embedding))];
  const line = (sentence, kind) => studio.make('li', { class: kind }, sentence);
  popover.replaceChildren(
    studio.make('h3', {}, studio.text('Where this prompt is cut')),
    studio.make('p', { class: 'quiet' }, studio.text('The model reads 75 tokens at a time. A band marks each of these chunks below the words.')),
    studio.make('ul', { class: 'chunk-lines' }, chunks),
    studio.make('ul', { class: 'prompt-notes' },
      warnings(text, found).map((sentence) => line(sentence, 'bad')),
      pieces.slice(0, 12).map((word) => line(studio.text('{0} is no word of the model; it reads {1}.', text.slice(word.start, word.end), word.pieces.join(' + ')), 'quiet')),
      embeddings.map((name) => line(studio.text('{0} is a textual inversion.', name), 'quiet'))),
  );
};
document.addEventListener('click', (event) => {
  const counter = event.target.closest?.('.counter-button');
  if (!counter) return;
  if (!popover) {
    popover = studio.make('div', { class: 'studio-popover prompt-popover', popover: 'auto' });
    studio.overlay(popover);
  }
  const box = counter.closest('.prompt-box');
  const before = popover.matches(':popover-open') && explained !== box.querySelector('textarea');
  if (before) popover.hidePopover();
  explain(box.querySelector('textarea'));
  studio.openBeside(popover, counter);
});

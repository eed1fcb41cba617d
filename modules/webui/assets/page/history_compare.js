// Two pictures of the history: side by side, under a slider, blinking; and what differs in their parameters.
const BLINK = 700;  // milliseconds; slow enough not to harm anybody
const modes = () => [['side', studio.text('Side by side')], ['slider', studio.text('Slider')], ['blink', studio.text('Blink')]];
const calm = matchMedia('(prefers-reduced-motion: reduce)');
let dialog, parts, first, second, acts, mode = 'side', timer, onlyChanges = true, comparison;

const button = (label, act, kind = '') => studio.make('button', { type: 'button', class: `dialog-button ${kind}`, onclick: act }, label);
const pictureOf = (one, side) => studio.make('figure', { class: `compare-${side}` }, studio.make('img', { src: one.url.slice(1), alt: one.prompt.slice(0, 200) }),
  studio.make('figcaption', {}, side === 'first' ? studio.text('First') : studio.text('Second')));

const build = () => {
  parts = {
    stage: studio.make('div', { class: 'compare-stage' }),
    modes: studio.make('div', { class: 'compare-modes', role: 'radiogroup', 'aria-label': studio.text('How to compare') }),
    difference: studio.make('div', { class: 'compare-difference' }),
    foot: studio.make('footer', {}),
  };
  dialog = studio.make('dialog', { class: 'studio-dialog compare-dialog', id: 'compare_dialog', 'aria-labelledby': 'compare_title' },
    studio.make('header', {}, studio.make('h2', { id: 'compare_title' }, studio.text('Compare')), parts.modes,
      studio.make('button', { type: 'button', class: 'dialog-close', 'aria-label': studio.text('Close'), onclick: () => dialog.close() }, '✕')),
    studio.make('div', { class: 'compare-body' }, parts.stage, parts.difference), parts.foot);
  dialog.addEventListener('close', () => clearInterval(timer));
  dialog.addEventListener('keydown', (event) => {
    if (event.key === ' ' && mode === 'blink' && !/^(BUTTON|INPUT)$/.test(event.target.tagName)) { event.preventDefault(); turn(); }
  });
  document.body.append(dialog);
};

const drawModes = () => parts.modes.replaceChildren(...modes().map(([name, label]) => studio.make('button', {
  type: 'button', role: 'radio', 'aria-checked': String(mode === name), tabindex: mode === name ? '0' : '-1', dataset: { mode: name },
  onclick: () => choose(name), onkeydown: (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const names = modes().map(([one]) => one);
    choose(names[(names.indexOf(mode) + step + names.length) % names.length]);
    parts.modes.querySelector('[aria-checked="true"]').focus();
  },
}, label)));
const choose = (name) => { mode = name; drawModes(); drawStage(); };

const turn = () => { parts.stage.dataset.shown = parts.stage.dataset.shown === 'second' ? 'first' : 'second'; };
const place = (percent) => {
  parts.stage.style.setProperty('--at', `${percent}%`);
  parts.stage.style.setProperty('--part', String(percent / 100));
};
const drawStage = () => {
  clearInterval(timer);
  Object.assign(parts.stage.dataset, { mode, shown: 'first' });
  parts.stage.replaceChildren(pictureOf(first, 'first'), pictureOf(second, 'second'));
  place(50);
  if (mode === 'slider') {
    const slider = studio.make('input', { type: 'range', min: '0', max: '100', step: '0.5', value: '50', class: 'compare-slider', 'aria-label': studio.text('How much of the first picture is shown') });
    slider.addEventListener('input', () => place(Number(slider.value)));
    parts.stage.append(slider, studio.make('span', { class: 'compare-line', 'aria-hidden': 'true' }));
  }
  if (mode === 'blink') {
    parts.stage.append(button(studio.text('Show the other one'), () => { clearInterval(timer); turn(); }, 'compare-turn'));
    if (!calm.matches) timer = setInterval(turn, BLINK);
  }
};

const words = (runs) => studio.make('p', { class: 'view-text', translate: 'no' }, runs.map(({ kind, text }) => (kind === 'same' ? text : studio.make(kind === 'added' ? 'ins' : 'del', {}, text))));
const isChanged = (runs) => runs.some((run) => run.kind !== 'same');
const drawDifference = () => {
  const { prompt, negative_prompt: negative, parameters } = comparison;
  const rows = parameters.filter((pair) => pair.changed || !onlyChanges);
  const texts = [[studio.text('Prompt'), prompt], [studio.text('Negative prompt'), negative]].filter(([, runs]) => isChanged(runs) || (!onlyChanges && runs.length));
  const value = (text) => (text === null ? studio.make('span', { class: 'quiet' }, '–') : text);
  parts.difference.replaceChildren(...[
    ...texts.map(([title, runs]) => studio.make('section', {}, studio.make('h3', {}, title), words(runs))),
    rows.length ? studio.make('table', { translate: 'no' },
      studio.make('thead', {}, studio.make('tr', {}, [studio.text('Parameter'), studio.text('First'), studio.text('Second')].map((title) => studio.make('th', { scope: 'col' }, title)))),
      studio.make('tbody', {}, rows.map((pair) => studio.make('tr', { class: pair.changed ? 'changed' : '' }, studio.make('th', { scope: 'row' }, pair.name), studio.make('td', {}, value(pair.first)), studio.make('td', {}, value(pair.second)))))) : null,
    texts.length || rows.length ? null : studio.make('p', { class: 'quiet' }, studio.text('Their parameters are the same.')),
    studio.make('label', { class: 'compare-all' }, studio.make('input', { type: 'checkbox', checked: !onlyChanges, onchange: (event) => { onlyChanges = !event.target.checked; drawDifference(); } }), studio.make('span', {}, studio.text('Show what is the same too'))),
  ].filter(Boolean));
};
const drawFoot = () => {
  const target = acts.forms.includes(studio.lastTab) ? studio.lastTab : acts.forms[0];
  const where = studio.make('select', { 'aria-label': studio.text('Form that is changed'), translate: 'no' }, acts.forms.map((name) => studio.make('option', { value: name, selected: name === target }, name)));
  const apply = () => { dialog.close(); studio.closePictureView(); acts.apply(first, second, where.value); };
  parts.foot.replaceChildren(button(studio.text('Swap the two'), () => studio.comparePictures(second, first, acts)), studio.make('span', { class: 'gap' }), where,
    studio.make('button', { type: 'button', class: 'dialog-button primary', id: 'compare_apply', title: studio.text('Change the form in the way that leads from the first picture to the second'), onclick: apply }, studio.text('Apply this difference here')));
};

/** Open the comparison of two pictures. */
studio.comparePictures = async (one, other, withActs) => {
  if (!dialog) build();
  [first, second, acts] = [one, other, withActs];
  const asked = [one, other];
  parts.difference.replaceChildren();
  drawModes();
  drawStage();
  drawFoot();
  if (!dialog.open) dialog.showModal();
  const found = await studio.attempt(() => studio.ask('GET', `history/compare?${new URLSearchParams({ first: one.id, second: other.id })}`));
  if (found && asked[0] === first && asked[1] === second) { comparison = found; drawDifference(); }
};

// the form that was open last is the one that a difference is meant for
document.addEventListener('click', (event) => {
  const tab = event.target.closest?.('#tabs button[role=tab]');
  if (tab) studio.lastTab = studio.activeTab() || studio.lastTab;
}, true);

// The editor of prompt styles: choose or name one, change it, take it from the prompts, add it to them.
let dialog, parts, tab, styles = [], editable = false;

const field = (label, input) => studio.make('label', { class: 'dialog-field' }, studio.make('span', {}, label), input);
const fill = (style) => {
  parts.name.value = style.name;
  parts.prompt.value = style.prompt;
  parts.negative.value = style.negative_prompt;
  update();
};
const current = () => ({ name: parts.name.value.trim(), prompt: parts.prompt.value, negative_prompt: parts.negative.value });
const stored = () => styles.find((style) => style.name === parts.name.value.trim());
const update = () => {
  const known = Boolean(stored());
  parts.remove.disabled = !known || !editable;
  parts.save.disabled = !parts.name.value.trim() || !editable;
  [...parts.list.children].forEach((item) => item.setAttribute('aria-selected', String(item.dataset.name === parts.name.value.trim())));
};
const read = async () => {
  styles = (await studio.attempt(() => studio.ask('GET', 'styles'))) || [];
  parts.list.replaceChildren(...styles.map((style) => studio.make('button', {
    type: 'button', role: 'option', dataset: { name: style.name }, onclick: () => fill(style),
  }, style.name)));
  parts.empty.hidden = styles.length > 0;
  update();
};
const save = async () => {
  const style = current();
  const saved = await studio.attempt(() => studio.ask('PUT', 'styles', style));
  if (!saved) return;
  studio.say(studio.text('The style {0} is saved.', style.name));
  await read();
  studio.press('styles_changed');
};
const remove = async () => {
  const { name } = current();
  if (!confirm(studio.text('Delete the style {0}?', name))) return;
  if (!await studio.attempt(() => studio.ask('POST', 'styles/delete', { name }))) return;
  fill({ name: '', prompt: '', negative_prompt: '' });
  await read();
  studio.press('styles_changed');
};
const added = (prompt, style) => {
  if (style.includes('{prompt}')) return style.replaceAll('{prompt}', prompt);
  return [prompt.trim(), style.trim()].filter(Boolean).join(', ');
};
const apply = () => {
  const style = current();
  for (const [negative, text] of [[false, style.prompt], [true, style.negative_prompt]]) {
    const area = studio.promptOf(tab, negative);
    studio.type(area, added(area.value, text));
  }
  dialog.close();
};
const copy = () => {
  parts.prompt.value = studio.promptOf(tab).value;
  parts.negative.value = studio.promptOf(tab, true).value;
  parts.name.focus();
};

const build = () => {
  const button = (label, act, kind = '') => studio.make('button', { type: 'button', class: `dialog-button ${kind}`, onclick: act }, label);
  parts = {
    list: studio.make('div', { class: 'style-list', role: 'listbox', 'aria-label': studio.text('Styles'), translate: 'no' }),
    empty: studio.make('p', { class: 'quiet' }, studio.text('There are no styles yet. Give one a name, write what it adds to the prompts, and save it.')),
    name: studio.make('input', { type: 'text', id: 'edit_style_title', maxlength: '200', autocomplete: 'off', oninput: update }),
    prompt: studio.make('textarea', { rows: '4', id: 'edit_style_prompt', placeholder: studio.text('{prompt} stands for the prompt; without it the style is added at the end') }),
    negative: studio.make('textarea', { rows: '3', id: 'edit_style_neg_prompt' }),
    save: button(studio.text('Save'), save, 'primary'),
    remove: button(studio.text('Delete'), remove),
  };
  dialog = studio.make('dialog', { class: 'studio-dialog styles-dialog', id: 'styles_dialog', 'aria-labelledby': 'styles_dialog_title' },
    studio.make('header', {}, studio.make('h2', { id: 'styles_dialog_title' }, studio.text('Styles')),
      studio.make('button', { type: 'button', class: 'dialog-close', 'aria-label': studio.text('Close'), onclick: () => dialog.close() }, '✕')),
    studio.make('div', { class: 'styles-body' },
      studio.make('div', { class: 'styles-side' }, parts.list, parts.empty),
      studio.make('div', { class: 'styles-form' },
        field(studio.text('Name'), parts.name), field(studio.text('Prompt'), parts.prompt), field(studio.text('Negative prompt'), parts.negative))),
    studio.make('footer', {},
      button(studio.text('New'), () => { fill({ name: '', prompt: '', negative_prompt: '' }); parts.name.focus(); }),
      button(studio.text('Copy from the prompts'), copy),
      studio.make('span', { class: 'gap' }),
      parts.remove, parts.save, button(studio.text('Add to the prompts'), apply)));
  studio.overlay(dialog);
};
document.addEventListener('click', async (event) => {
  const opener = event.target.closest?.('button[id$="_styles_edit_button"]');
  if (!opener) return;
  if (!dialog) build();
  tab = opener.id.replace('_styles_edit_button', '');
  ({ editable } = await studio.visitor());
  dialog.showModal();
  await read();
  const chosen = studio.form.value(tab, 'styles')?.[0];
  const style = styles.find((one) => one.name === chosen);
  if (style) fill(style);
});

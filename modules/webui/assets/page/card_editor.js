// What a model's file says about itself, and what its user notes about it.
let dialog, parts, card, tab;

const field = (label, input, hint) => studio.make('label', { class: 'dialog-field' }, studio.make('span', {}, label), input, hint ? studio.make('small', { class: 'quiet' }, hint) : null);
const line = (label, value) => (value ? [studio.make('dt', {}, label), studio.make('dd', { translate: 'no' }, value)] : []);
const sizeOf = (bytes) => (bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`);
const VERSIONS = { sd1: 'SD1', sd2: 'SD2', sdxl: 'SDXL' };

const build = () => {
  const area = (rows) => studio.make('textarea', { rows: String(rows), translate: 'no' });
  const button = (label, act, kind = '') => studio.make('button', { type: 'button', class: `dialog-button ${kind}`, onclick: act }, label);
  parts = {
    title: studio.make('h2', { id: 'card_dialog_title', translate: 'no' }),
    picture: studio.make('div', { class: 'card-picture' }),
    facts: studio.make('dl', { class: 'card-facts' }),
    description: area(2), notes: area(3), activation_text: area(2), negative_text: area(2),
    version: studio.make('select', {}, ['', 'SD1', 'SD2', 'SDXL'].map((name) => studio.make('option', { value: name }, name || studio.text('Unknown')))),
    preferred_weight: studio.make('input', { type: 'number', min: '0', max: '2', step: '0.01' }),
    vae: studio.make('input', { type: 'text', autocomplete: 'off' }),
    tags: studio.make('div', { class: 'card-tags', translate: 'no' }),
    metadata: studio.make('pre', {}),
    replace: button(studio.text('Use the picture that is shown'), replacePreview),
    save: button(studio.text('Save'), save, 'primary'),
  };
  parts.forNetworks = studio.make('div', {},
    studio.make('div', { class: 'dialog-pair' }, field(studio.text('Stable Diffusion version'), parts.version), field(studio.text('Preferred weight'), parts.preferred_weight, studio.text('0 is the default of the settings'))),
    field(studio.text('Activation text'), parts.activation_text), field(studio.text('Negative prompt'), parts.negative_text));
  parts.forCheckpoints = field(studio.text('Preferred VAE'), parts.vae, studio.text('Name of a file in models/VAE, Automatic or None'));
  parts.tagBox = studio.make('div', { class: 'dialog-field' }, studio.make('span', {}, studio.text('Training tags')), studio.make('small', { class: 'quiet' }, studio.text('A click puts a tag into the prompt.')), parts.tags);
  parts.metadataBox = studio.make('details', {}, studio.make('summary', {}, studio.text('Metadata of the file')), parts.metadata);
  dialog = studio.make('dialog', { class: 'studio-dialog card-dialog', id: 'card_dialog', 'aria-labelledby': 'card_dialog_title' },
    studio.make('header', {}, parts.title, studio.make('button', { type: 'button', class: 'dialog-close', 'aria-label': studio.text('Close'), onclick: () => dialog.close() }, '✕')),
    studio.make('div', { class: 'card-body' },
      studio.make('div', { class: 'card-side' }, parts.picture, parts.replace, parts.facts),
      studio.make('div', {}, field(studio.text('Description'), parts.description), parts.forNetworks, parts.forCheckpoints, field(studio.text('Notes'), parts.notes), parts.tagBox, parts.metadataBox)),
    studio.make('footer', {}, studio.make('span', { class: 'gap' }), button(studio.text('Cancel'), () => dialog.close()), parts.save));
  studio.overlay(dialog);
};
const drawPicture = () => {
  const source = studio.cards.previewOf(card);
  parts.picture.replaceChildren(source ? studio.make('img', { src: source, alt: studio.text('Preview') }) : studio.make('span', { class: 'quiet' }, studio.text('No preview')));
};
const fill = (details) => {
  parts.title.textContent = card.called;
  drawPicture();
  parts.facts.replaceChildren(...[
    ...line(studio.text('File'), details.file), ...line(studio.text('Folder'), card.folder), ...line(studio.text('Size'), sizeOf(details.size)),
    ...line(studio.text('Changed'), card.modified ? new Date(card.modified * 1000).toLocaleDateString() : ''),
  ]);
  for (const key of ['description', 'notes', 'activation_text', 'negative_text', 'vae']) parts[key].value = details.notes[key] || '';
  parts.preferred_weight.value = String(details.notes.preferred_weight ?? 0);
  parts.version.value = details.notes.version || VERSIONS[card.version] || '';
  parts.forNetworks.hidden = card.kind === 'checkpoint';
  parts.forCheckpoints.hidden = card.kind !== 'checkpoint';
  parts.tagBox.hidden = !details.tags.length;
  parts.tags.replaceChildren(...details.tags.map(([tag, count]) => studio.make('button', { type: 'button', onclick: () => addTag(tag) }, tag, studio.make('small', {}, String(count)))));
  const metadata = Object.entries(details.metadata);
  parts.metadataBox.hidden = !metadata.length;
  parts.metadata.textContent = metadata.map(([key, text]) => `${key}: ${text.length > 2000 ? `${text.slice(0, 2000)} …` : text}`).join('\n');
  for (const part of [parts.save, parts.replace]) part.hidden = !details.editable;
};
const addTag = (tag) => {
  const area = studio.promptOf(tab);
  studio.type(area, area.value.trim() ? `${area.value.replace(/[\s,]+$/, '')}, ${tag}` : tag);
};
async function save() {
  const notes = { description: parts.description.value, notes: parts.notes.value };
  if (card.kind === 'checkpoint') notes.vae = parts.vae.value;
  else {
    Object.assign(notes, { version: parts.version.value, activation_text: parts.activation_text.value, negative_text: parts.negative_text.value });
    notes.preferred_weight = Number(parts.preferred_weight.value) || 0;
  }
  const saved = await studio.attempt(() => studio.ask('PUT', 'networks/notes', { kind: card.kind, name: card.name, notes }));
  if (!saved) return;
  studio.cards.replace(saved);
  dialog.close();
}
async function replacePreview() {
  const image = document.querySelector(`#${tab}_gallery .live-root`)?.closest('.live')?.querySelector('.stage-image')?.getAttribute('src')?.match(/^files\/([^?]+)/)?.[1];
  if (!image) { studio.say(studio.text('There is no finished picture beside the form yet.'), 'bad'); return; }
  const changed = await studio.attempt(() => studio.ask('PUT', 'networks/preview', { kind: card.kind, name: card.name, image: decodeURIComponent(image) }));
  if (!changed) return;
  card = changed;
  drawPicture();
  studio.cards.replace(changed);
}
studio.editCard = async (wanted, ofTab) => {
  if (!dialog) build();
  card = wanted;
  tab = ofTab;
  const query = new URLSearchParams({ kind: card.kind, name: card.name });
  const details = await studio.attempt(() => studio.ask('GET', `networks/details?${query}`));
  if (!details) return;
  card = { ...details.card, called: card.called };
  fill(details);
  dialog.showModal();
};

// Small parts of the history: tags, downloads, how to search.
const tagDialog = () => {
  const dialog = studio.make('dialog', { class: 'studio-dialog history-tags', 'aria-label': studio.text('Tags') });
  document.body.append(dialog);
  return dialog;
};
let tags;

/** A field for tags with suggestions; `changed(add, remove)` says what happens to them. */
studio.tagField = (shown, known, changed) => {
  const list = studio.make('span', { class: 'tag-list', translate: 'no' });
  const options = studio.make('datalist', { id: 'history_known_tags' }, known.map(({ tag }) => studio.make('option', { value: tag })));
  const input = studio.make('input', { type: 'text', list: 'history_known_tags', maxlength: '64', 'aria-label': studio.text('New tag'), placeholder: studio.text('Add a tag'), autocomplete: 'off' });
  const draw = () => list.replaceChildren(...shown.map((tag) => studio.make('span', { class: 'tag' }, tag,
    studio.make('button', { type: 'button', 'aria-label': studio.text('Remove the tag {0}', tag), onclick: async () => {
      if (await changed([], [tag])) { shown.splice(shown.indexOf(tag), 1); draw(); input.focus(); }
    } }, '✕'))));
  const add = async () => {
    const tag = input.value.trim();
    if (!tag || !await changed([tag], [])) return;
    if (!shown.some((one) => one.toLowerCase() === tag.toLowerCase())) shown.push(tag);
    input.value = '';
    draw();
  };
  input.addEventListener('keydown', (event) => {
    event.stopPropagation();
    if (event.key === 'Enter' || event.key === ',') { event.preventDefault(); add(); }
  });
  input.addEventListener('change', add);
  draw();
  return studio.make('div', { class: 'tag-field' }, list, input, options);
};
studio.knownTags = async () => (await studio.ask('GET', 'history/tags').catch(() => [])) || [];
studio.changeTags = (pictures, add, remove) => studio.attempt(() => studio.ask('POST', 'history/tag', { ids: pictures.map((one) => one.id), add, remove }));

/** Give tags to several pictures. */
studio.editTags = async (pictures) => {
  tags ||= tagDialog();
  const field = studio.tagField([], await studio.knownTags(), (add, remove) => studio.changeTags(pictures, add, remove));
  tags.replaceChildren(
    studio.make('header', {}, studio.make('h2', {}, studio.text('Tags')),
      studio.make('button', { type: 'button', class: 'dialog-close', 'aria-label': studio.text('Close'), onclick: () => tags.close() }, '✕')),
    studio.make('div', { class: 'history-tags-body' },
      studio.make('p', { class: 'quiet' }, pictures.length === 1 ? studio.text('Tags for the selected picture. Enter adds one.') : studio.text('Tags for {0} pictures. Enter adds one.', pictures.length)), field));
  tags.showModal();
  field.querySelector('input').focus();
};

const save = (url, name) => { const link = studio.make('a', { href: url, download: name }); link.click(); };
studio.downloadPicture = (picture) => save(picture.url.slice(1), picture.name);
/** Several pictures as one zip file. */
studio.downloadZip = async (ids) => {
  const answer = await fetch('api/v1/pictures/zip', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ids }) });
  if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.detail || studio.text('The server answered with error {0}.', answer.status));
  const url = URL.createObjectURL(await answer.blob());
  save(url, /filename="([^"]+)"/.exec(answer.headers.get('content-disposition') || '')?.[1] || 'pictures.zip');
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
};

const language = () => [
  ['red apple', studio.text('Both words, in the prompt, the tags or the names')],
  ['"rim light"', studio.text('These words in this order')],
  ['-blurry', studio.text('Without it; works with everything below too')],
  ['model:dream  lora:style', studio.text('Names that contain it; also sampler and file')],
  ['seed:123  size:512x768', studio.text('Exactly this')],
  ['cfg>6  steps<=20', studio.text('Numbers; also width, height and denoising')],
  ['date:2026-11  after:2026-11-01', studio.text('When it was made; also before, today and yesterday')],
  ['is:starred  tag:best', studio.text('Stars and tags')],
  ['negative:hands', studio.text('Words of the negative prompt')],
  ['kind:img2img', studio.text('How it was made')],
];
let help;
/** Open the list of what can be searched for. */
studio.explainSearch = (opener) => {
  if (!help) {
    help = studio.make('div', { class: 'studio-popover history-language', popover: 'auto', role: 'dialog', 'aria-label': studio.text('How to search') });
    document.body.append(help);
  }
  help.replaceChildren(studio.make('h3', {}, studio.text('How to search')), studio.make('dl', {}, language().flatMap(([typed, meaning]) => [
    studio.make('dt', { translate: 'no' }, studio.make('code', {}, typed)), studio.make('dd', {}, meaning)])));
  studio.openBeside(help, opener);
};

// One picture of the history in full size, with all that is known of it.
let dialog, parts, grid, acts, index = 0, picture, request = 0, marked = null;

const urlOf = (one) => one.url.slice(1);
const iconButton = (icon, label, act) => studio.make('button', { type: 'button', class: `view-tool icon-${icon}`, 'aria-label': label, title: label, onclick: act });

const build = () => {
  parts = {
    image: studio.make('img', { class: 'view-image', alt: '' }),
    before: iconButton('left', studio.text('Newer picture'), () => move(-1)),
    after: iconButton('right', studio.text('Older picture'), () => move(1)),
    side: studio.make('div', { class: 'view-side' }),
  };
  parts.image.addEventListener('click', () => dialog.classList.toggle('zoomed'));
  dialog = studio.make('dialog', { class: 'studio-dialog history-view', id: 'history_view', 'aria-label': studio.text('Picture') },
    studio.make('div', { class: 'view-stage' }, parts.image, parts.before, parts.after),
    parts.side,
    studio.make('button', { type: 'button', class: 'view-close view-tool icon-close', 'aria-label': studio.text('Close'), onclick: () => dialog.close() }));
  dialog.addEventListener('keydown', pressed);
  dialog.addEventListener('close', () => { if (grid) { grid.go(index); grid.place.focus({ preventScroll: true }); } });
  document.body.append(dialog);
};
const pressed = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA)$/.test(event.target.tagName)) return;
  const keys = { ArrowLeft: () => move(-1), ArrowRight: () => move(1), s: star, Delete: remove, c: compare };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
};

const move = async (step) => {
  const to = index + step;
  if (to >= grid.pictures.length) await grid.more();
  if (to < 0 || to >= grid.pictures.length) return;
  show(grid.pictures[to], to);
};
const star = async () => { await acts.star([picture]); drawTools(); };
const compare = () => {
  if (marked && marked.id !== picture.id) {
    const first = marked;
    marked = null;
    acts.compare(first, picture);
  } else {
    marked = picture;
    studio.say(studio.text('Go to another picture and choose Compare again.'));
  }
  drawTools();
};
const leave = (ids) => {
  if (!grid.pictures.length) { dialog.close(); return; }
  if (ids) show(grid.pictures[Math.min(index, grid.pictures.length - 1)], Math.min(index, grid.pictures.length - 1));
};
const remove = async () => { if (!picture.binned && await acts.delete([picture])) leave([picture.id]); };
const restore = async () => { if (await acts.restore([picture])) leave([picture.id]); };
const send = (target) => { dialog.close(); acts.send(picture, target); };

const drawTools = () => {
  const starred = iconButton('star', picture.starred ? studio.text('Take the star away') : studio.text('Give it a star'), star);
  starred.setAttribute('aria-pressed', String(picture.starred));
  const comparing = iconButton('compare', studio.text('Compare'), compare);
  comparing.setAttribute('aria-pressed', String(marked?.id === picture.id));
  parts.tools.replaceChildren(starred, comparing, iconButton('save', studio.text('Download'), () => studio.downloadPicture(picture)),
    picture.binned ? iconButton('reuse', studio.text('Restore'), restore) : iconButton('trash', studio.text('Delete'), remove));
  parts.before.disabled = index <= 0;
  parts.after.disabled = index >= grid.total - 1;
};

const copyButton = (text) => studio.make('button', { type: 'button', class: 'view-copy', onclick: async (event) => {
  const copied = event.currentTarget;
  try { await navigator.clipboard.writeText(text); } catch { return studio.say(studio.text('The browser does not let this page copy; select the text instead.'), 'bad'); }
  copied.textContent = studio.text('Copied');
  return setTimeout(() => { copied.textContent = studio.text('Copy'); }, 1500);
} }, studio.text('Copy'));
const section = (title, content, text) => studio.make('section', {}, studio.make('div', { class: 'view-head' }, studio.make('h3', {}, title), text ? copyButton(text) : null), content);
const relatives = (title, pictures) => (pictures.length ? section(title, studio.make('div', { class: 'view-relatives' }, pictures.map((one) => studio.make('button', {
  type: 'button', 'aria-label': studio.describePicture(one), title: one.prompt, translate: 'no', onclick: () => show(one, grid.pictures.findIndex((other) => other.id === one.id)),
}, studio.make('img', { src: one.thumbnail.slice(1), alt: '' }))))) : null);

const drawSide = (details, known) => {
  const changed = (add, remove_) => studio.changeTags([picture], add, remove_);
  parts.details.replaceChildren(...[
    details.prompt ? section(studio.text('Prompt'), studio.make('p', { class: 'view-text', translate: 'no' }, details.prompt), details.prompt) : null,
    details.negative_prompt ? section(studio.text('Negative prompt'), studio.make('p', { class: 'view-text', translate: 'no' }, details.negative_prompt), details.negative_prompt) : null,
    section(studio.text('Tags'), studio.tagField([...details.tags], known, changed)),
    relatives(studio.text('Made from'), details.parents),
    relatives(studio.text('Became'), details.children),
    details.parameters.length ? section(studio.text('Parameters'), studio.make('dl', { class: 'view-parameters', translate: 'no' }, details.parameters.flatMap(({ name, value }) => [
      studio.make('dt', {}, name), studio.make('dd', {}, value)])), details.infotext) : studio.make('p', { class: 'quiet' }, studio.text('This picture carries no generation parameters.')),
  ].filter(Boolean));
};

/** Show a picture; `place` is where it stands in the list, -1 when it is not in it. */
async function show(one, place) {
  if (place >= 0) index = place;
  picture = one;
  const asked = request += 1;
  dialog.classList.remove('zoomed');
  parts.image.alt = one.prompt.slice(0, 200);
  parts.image.src = urlOf(one);
  parts.image.style.setProperty('--small', `url("${one.thumbnail.slice(1)}")`);
  parts.tools = studio.make('div', { class: 'view-tools' });
  parts.details = studio.make('div', { class: 'view-details' });
  parts.side.replaceChildren(
    studio.make('div', { class: 'view-title', translate: 'no' }, studio.make('h2', {}, one.name), studio.make('p', { class: 'quiet' }, `${studio.momentName(one.created)} · ${one.width} × ${one.height}`)),
    parts.tools,
    section(studio.text('Send to'), studio.make('div', { class: 'view-send', translate: 'no' }, acts.targets.map((target) => studio.make('button', {
      type: 'button', class: 'dialog-button', 'aria-label': studio.text('Send to {0}', target), onclick: () => send(target),
    }, target)))),
    parts.details);
  parts.side.scrollTop = 0;
  drawTools();
  const [details, known] = await Promise.all([studio.attempt(() => studio.ask('GET', `history/${one.id}`)), studio.knownTags()]);
  if (details && asked === request) drawSide(details, known);
}

/** Open the viewer at a place of the grid's list. */
studio.viewPicture = (ofGrid, at, withActs) => {
  if (!dialog) build();
  [grid, acts] = [ofGrid, withActs];
  if (!dialog.open) dialog.showModal();
  show(grid.pictures[at], at);
};
/** Close the viewer without a word to the grid; another tab is opened. */
studio.closePictureView = () => { if (dialog?.open) dialog.close(); };

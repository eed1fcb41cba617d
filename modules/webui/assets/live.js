const $ = (selector) => element.querySelector(selector);
const root = $('.live-root'), image = $('.stage-image'), bar = $('progress'), text = $('.live-text');
const message = $('.live-message'), thumbs = $('.thumbs'), box = $('.infotext-box'), dialog = $('.lightbox');
const tab = root.dataset.tab;
let pinned = '';      // picture that the user chose, '' while the newest is shown
let thumbKeys = '';   // ids of the thumbnails on the page
let lastJob = null;
let wanted = '';      // source that the stage shall show
let saidParts = '';   // what the line of progress says

const urlOf = (picture) => 'files/' + encodeURIComponent(picture.id);
const isBusy = (value) => value.state === 'queued' || value.state === 'running' || value.state === 'paused';

const showSource = async (source, alt) => {
  if (source === wanted) return;
  wanted = source;
  image.setAttribute('aria-busy', 'true');   // until it shows what it shall
  if (!source) { image.hidden = true; image.removeAttribute('src'); image.removeAttribute('aria-busy'); return; }
  if (!source.startsWith('data:') && image.src) {  // keep the last preview until the file is decoded
    const next = new Image();
    next.src = source;
    try { await next.decode(); } catch { /* the img element will show that it is missing */ }
    if (wanted !== source) return;
  }
  image.src = source;
  image.alt = alt;
  image.hidden = false;
  image.removeAttribute('aria-busy');
};

const selectedOf = (value) => {
  const pictures = value.images || [];
  return pictures.find((picture) => picture.id === pinned) || (isBusy(value) && value.src ? null : pictures[0] || null);
};

const drawThumbs = (value, chosen) => {
  const pictures = value.images || [];
  const live = isBusy(value) && pictures.length > 0;
  const shown = pictures.length > 1 || live;
  const keys = (live ? 'live ' : '') + pictures.map((picture) => picture.id).join(' ');
  if (keys !== thumbKeys) {
    thumbKeys = keys;
    thumbs.replaceChildren();
    if (shown) {
      const add = (id, label, source) => {
        const button = document.createElement('button');
        button.type = 'button';
        button.className = 'thumb';
        button.dataset.id = id;
        button.setAttribute('aria-label', label);
        if (source) { const small = new Image(); small.src = source; small.alt = ''; small.loading = 'lazy'; button.append(small); }
        else button.textContent = 'Live';
        button.onclick = () => { pinned = id; render(); };
        thumbs.append(button);
      };
      if (live) add('', 'Live preview', '');
      pictures.forEach((picture, i) => add(picture.id, picture.index < 0 ? 'Grid' : `Picture ${i + 1}`, urlOf(picture)));
    }
  }
  for (const button of thumbs.children) button.setAttribute('aria-pressed', String(button.dataset.id === (chosen ? chosen.id : '')));
};

const drawInfotext = (value, chosen) => {
  const comments = value.comments || [];
  box.hidden = !(chosen && chosen.infotext) && comments.length === 0;
  $('.infotext').textContent = chosen ? chosen.infotext : '';
  $('.comments').textContent = comments.join('\n');
};

const drawMessage = (value) => {
  const error = value.error;
  document.querySelectorAll(`[data-message-of="${tab}"]`).forEach((old) => old.remove());
  document.querySelectorAll(`#tab_${tab} .has-error`).forEach((old) => old.classList.remove('has-error'));
  const field = error && error.field ? document.getElementById(error.field) || document.getElementById(`${tab}_${error.field}`) : null;
  message.hidden = !error || Boolean(field);
  message.textContent = error && !field ? error.text : '';
  if (!field) return;
  const note = document.createElement('p');
  note.className = 'field-error';
  note.dataset.messageOf = tab;
  note.setAttribute('role', 'alert');
  note.textContent = error.text;
  field.classList.add('has-error');
  field.append(note);
  field.closest('.accordion-closed')?.querySelector('button')?.click();
  field.scrollIntoView({ block: 'center' });
  field.addEventListener('input', () => { note.remove(); field.classList.remove('has-error'); }, { once: true });
};

const announce = (value) => {
  const page = element.closest('.studio-tab');
  if (page) Object.assign(page.dataset, { busy: String(isBusy(value)), state: value.state || 'idle' });
  const percent = Math.round((value.progress || 0) * 100);
  const title = document.title.replace(/^\[\d+%\] /, '');
  document.title = value.state === 'running' && window.studio?.tellsInTitle !== false ? `[${percent}%] ${title}` : title;
};

function render() {
  const value = props.value || {};
  if (value.job && value.job !== lastJob) { lastJob = value.job; pinned = ''; }
  const chosen = selectedOf(value);
  root.dataset.state = value.state || 'idle';
  root.dataset.job = value.job || '';
  showSource(chosen ? urlOf(chosen) : value.src || '', chosen ? chosen.infotext.split('\n')[0] : 'Live preview');
  bar.value = value.progress || 0;
  const parts = value.parts || [];
  if (parts.join('\n') !== saidParts) {
    saidParts = parts.join('\n');
    text.replaceChildren(...parts.map((part) => { const span = document.createElement('span'); span.textContent = part; return span; }));
  }
  drawThumbs(value, chosen);
  drawInfotext(value, chosen);
  const id = chosen ? chosen.id : '';
  if ((value.selected || '') !== id) props.value = { ...value, selected: id };
}

const move = (by) => {
  const pictures = (props.value || {}).images || [];
  if (!pictures.length) return;
  const at = Math.max(0, pictures.findIndex((picture) => picture.id === (selectedOf(props.value) || {}).id));
  pinned = pictures[(at + by + pictures.length) % pictures.length].id;
  render();
  const chosen = selectedOf(props.value);
  if (dialog.open && chosen) dialog.querySelector('img').src = urlOf(chosen);
};

$('.stage-open').onclick = () => {
  const chosen = selectedOf(props.value || {});
  if (!chosen) return;
  dialog.querySelector('img').src = urlOf(chosen);
  dialog.showModal();
};
dialog.onclick = (event) => { if (event.target.tagName !== 'IMG') dialog.close(); };
element.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !/^(BUTTON|DIALOG|IMG)$/.test(event.target.tagName)) return;
  if (event.key === 'ArrowRight') move(1);
  else if (event.key === 'ArrowLeft') move(-1);
  else if (event.key === 's' && dialog.open) download();
  else return;
  event.preventDefault();
});
$('.infotext-copy').onclick = async (event) => {
  const content = $('.infotext').textContent;
  try { await navigator.clipboard.writeText(content); }
  catch {  // no clipboard API without https: select the text so that Ctrl+C takes it
    getSelection().selectAllChildren($('.infotext'));
    document.execCommand('copy');
  }
  event.target.textContent = 'Copied';
  setTimeout(() => { event.target.textContent = 'Copy'; }, 1500);
};
function download() {
  const chosen = selectedOf(props.value || {});
  if (!chosen) return;
  const link = document.createElement('a');
  link.href = urlOf(chosen);
  link.download = chosen.name;
  link.click();
}
element.addEventListener('studio-download', download);

let kept = { job: '', state: 'idle', images: [] };       // what was shown before a request was refused
let hadError = false;
watch('value', () => {
  let value = props.value || {};
  const isNotice = value.job === undefined;
  if (isNotice) {  // only a sentence: everything else stays
    value = { ...kept, error: value.error };
    props.value = value;
  }
  kept = { ...value, error: null };
  if (value.error || hadError) drawMessage(value);
  root.dataset.refused = String(isNotice && Boolean(value.error));
  hadError = Boolean(value.error);
  announce(value);
  render();
});
render();

// The tab History: joins search, grid, viewer and comparison; Python is asked only to fill forms.
const EVENT_NAMES = EVENTS;
const $ = (selector) => element.querySelector(selector);
const root = $('.history-root'), search = $('.history-query'), bar = $('.history-actions');
const query = { q: '', starred: false, bin: false };
const ids = (pictures) => pictures.map((picture) => picture.id);
const chosen = () => [...grid.selected.values()];
const number = (value) => new Intl.NumberFormat(document.documentElement.lang || 'en').format(value);

const acts = {
  targets: EVENT_NAMES.filter((name) => name.startsWith('send_')).map((name) => name.slice(5)),
  forms: EVENT_NAMES.filter((name) => name.startsWith('apply_')).map((name) => name.slice(6)),
  async star(pictures) {
    const starred = !pictures.every((picture) => picture.starred);
    if (!await studio.attempt(() => studio.ask('POST', 'history/star', { ids: ids(pictures), starred }))) return;
    pictures.forEach((picture) => { picture.starred = starred; });
    grid.star(ids(pictures), starred);
  },
  tag(pictures) { studio.editTags(pictures); },
  compare(first, second) { studio.comparePictures(first, second, acts); },
  async download(pictures) {
    if (pictures.length === 1) return studio.downloadPicture(pictures[0]);
    return studio.attempt(() => studio.downloadZip(ids(pictures)));
  },
  async delete(pictures) {
    if (!await studio.attempt(() => studio.ask('POST', 'history/delete', { ids: ids(pictures) }))) return false;
    studio.say(pictures.length === 1 ? studio.text('The picture is in the bin.') : studio.text('{0} pictures are in the bin.', number(pictures.length)));
    grid.remove(ids(pictures));
    return true;
  },
  async restore(pictures) {
    if (!await studio.attempt(() => studio.ask('POST', 'history/restore', { ids: ids(pictures) }))) return false;
    studio.say(pictures.length === 1 ? studio.text('The picture is back in its folder.') : studio.text('{0} pictures are back in their folders.', number(pictures.length)));
    grid.remove(ids(pictures));
    return true;
  },
  async empty() {
    if (!confirm(studio.text('Delete everything in the bin for good?'))) return;
    const done = await studio.attempt(() => studio.ask('POST', 'history/empty-bin'));
    if (!done) return;
    studio.say(done.count === 1 ? studio.text('One picture was deleted.') : studio.text('{0} pictures were deleted.', number(done.count)));
    load();
  },
  clear() { grid.clear(); },
  everything() { search.value = ''; Object.assign(query, { q: '', starred: false }); load(); },
  send(picture, target) { props.value = { selected: picture.id }; trigger(`send_${target}`); },
  apply(first, second, target) { props.value = { first: first.id, second: second.id }; trigger(`apply_${target}`); },
};

const grid = new studio.HistoryGrid($('.history-grid'), {
  open: (index) => studio.viewPicture(grid, index, acts),
  star: acts.star,
  select: () => showSelection(),
  loaded: (total) => showCount(total),
  key(key) {
    const picture = grid.pictures[grid.active], these = grid.selected.size ? chosen() : [picture];
    if (key === 's') acts.star(these);
    else if (key === 't') acts.tag(these);
    else if (key === 'c' && these.length === 2) acts.compare(...oldestFirst(these));
    else if (key === 'Delete' && !query.bin) acts.delete(these);
    else return false;
    return true;
  },
});
const oldestFirst = (pictures) => [...pictures].sort((a, b) => a.created - b.created);

const showSelection = () => {
  const pictures = chosen();
  bar.hidden = pictures.length === 0;
  root.dataset.selecting = String(pictures.length > 0);
  $('.history-selected').textContent = pictures.length === 1 ? studio.text('One picture selected') : studio.text('{0} pictures selected', number(pictures.length));
  $('[data-act="compare"]').disabled = pictures.length !== 2;
  $('[data-act="delete"]').hidden = query.bin;
  $('[data-act="restore"]').hidden = !query.bin;
};
const showCount = (total) => {
  $('.history-count').textContent = total === 1 ? studio.text('One picture') : studio.text('{0} pictures', number(total));
  const filtered = Boolean(query.q || query.starred);
  $('.history-empty').hidden = total > 0;
  $('.history-grid').hidden = total === 0;
  $('[data-act="everything"]').hidden = !filtered;
  $('.history-emptying').hidden = !query.bin || total === 0;
  $('.history-empty-text').textContent = filtered ? studio.text('No picture is like that.') : query.bin ? studio.text('The bin is empty.') : studio.text('Every picture that you make will be here.');
};
const load = () => {
  root.dataset.bin = String(query.bin);
  $('.history-starred').setAttribute('aria-pressed', String(query.starred));
  $('.history-bin').setAttribute('aria-pressed', String(query.bin));
  grid.clear();
  return grid.load({ q: [query.q, query.starred ? 'is:starred' : ''].filter(Boolean).join(' '), bin: query.bin });
};

search.addEventListener('input', studio.settled(180, () => {
  const wanted = search.value.trim();
  if (wanted === query.q) return;   // what is selected stays selected
  query.q = wanted;
  load();
}));
search.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' || event.key === 'ArrowDown') { event.preventDefault(); $('.history-grid').focus(); }
});
$('.history-starred').onclick = () => { query.starred = !query.starred; load(); };
$('.history-bin').onclick = () => { query.bin = !query.bin; load(); };
$('.history-help').onclick = (event) => studio.explainSearch(event.currentTarget);
root.addEventListener('click', (event) => {
  const act = event.target.closest('[data-act]')?.dataset.act;
  if (!act) return;
  if (act === 'compare') acts.compare(...oldestFirst(chosen()));
  else acts[act](chosen());
});

const size = $('.history-size input');
size.value = localStorage.getItem('studio-history-size') || (innerWidth < 760 ? 112 : 208);
size.addEventListener('input', () => { grid.size(Number(size.value)); localStorage.setItem('studio-history-size', size.value); });
grid.size(Number(size.value));

// read when the tab is opened; what was made since is there when it is opened again
let wasRead = false;
new IntersectionObserver((entries) => {
  if (!entries.some((entry) => entry.isIntersecting)) return;
  if (wasRead) grid.refresh(); else { wasRead = true; load(); }
}).observe($('.history-bar'));
document.addEventListener('studio-language', () => { if (wasRead) { grid.dropAll(); grid.draw(); showCount(grid.total); showSelection(); } });

// The grid of the history: a list without end of which only what is near the screen is on the page.
const AHEAD = 800;       // pixels above and below the screen that are filled too
const STRETCH = 100;     // pictures that are fetched at once
const LONG_PRESS = 450;  // milliseconds

class HistoryGrid {
  /** `place` is the listbox; `on` tells of `open(index)`, `select()`, `key(event)`, `loaded(total)`. */
  constructor(place, on) {
    Object.assign(this, { place, on, pictures: [], selected: new Map(), tiles: new Map(), active: 0, target: 200, query: {}, request: 0, total: 0, cursor: '' });
    this.draw = this.draw.bind(this);
    addEventListener('scroll', () => this.later(), { passive: true });
    new ResizeObserver(() => { if (place.clientWidth && place.clientWidth !== this.layout?.width) this.layOut(); }).observe(place);
    place.addEventListener('click', (event) => this.clicked(event));
    place.addEventListener('keydown', (event) => this.pressed(event));
    place.addEventListener('focus', () => this.mark());
    this.watchLongPress();
  }

  // --- the list ---------------------------------------------------------------------------------

  /** Show what a query finds, from the top. */
  async load(query) {
    this.query = query;
    const request = this.request += 1;
    const page = await studio.attempt(() => this.fetch(null));
    if (!page || request !== this.request) return;
    Object.assign(this, { pictures: page.pictures, total: page.total, cursor: page.cursor, active: 0 });
    this.keepSelected();
    this.on.loaded(this.total);   // before the tiles: a grid without pictures was hidden and had no width
    this.layOut();
  }

  /** Look for pictures that came since; the list is read again only if there are some. */
  async refresh() {
    const request = this.request;
    const page = await this.fetch(null, 1).catch(() => null);
    if (!page || request !== this.request) return;
    const first = this.pictures[0], newest = page.pictures[0];
    if (page.total !== this.total || first?.id !== newest?.id) await this.load(this.query);
  }

  fetch(cursor, limit = STRETCH) {
    const query = new URLSearchParams({ ...this.query, limit, ...(cursor ? { cursor } : {}) });
    return studio.ask('GET', `history?${query}`);
  }

  async more() {
    if (!this.cursor || this.loading) return;
    this.loading = true;
    const request = this.request;
    const page = await studio.attempt(() => this.fetch(this.cursor));
    this.loading = false;
    if (request !== this.request) return;
    if (!page) { this.cursor = ''; return; }  // what went wrong is said; a new search tries again
    const first = this.pictures.length;
    this.pictures.push(...page.pictures);
    this.cursor = page.cursor;
    this.drop(this.layout.add(page.pictures, first));
    this.draw();
  }

  /** Take pictures out of the list that is shown. */
  remove(ids) {
    const gone = new Set(ids);
    const before = this.pictures.length;
    this.pictures = this.pictures.filter((picture) => !gone.has(picture.id));
    this.total -= before - this.pictures.length;
    ids.forEach((id) => this.selected.delete(id));
    this.active = Math.min(this.active, Math.max(0, this.pictures.length - 1));
    this.layOut();
    this.on.select();
    this.on.loaded(this.total);
  }

  /** Give or take stars in the list that is shown. */
  star(ids, starred) {
    const wanted = new Set(ids);
    this.pictures.forEach((picture) => { if (wanted.has(picture.id)) picture.starred = starred; });
    this.tiles.forEach((element) => { if (wanted.has(element.dataset.id)) element.querySelector('.history-star').dataset.on = String(starred); });
  }

  // --- what is on the page -----------------------------------------------------------------------

  size(target) { this.target = target; if (this.layout) this.layOut(); }

  layOut() {
    if (!this.place.clientWidth) return;
    this.layout = new studio.HistoryLayout(this.place.clientWidth, this.target);
    this.layout.add(this.pictures, 0);
    this.dropAll();
    this.draw();
  }

  later() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }

  draw() {
    if (!this.layout || !this.place.offsetParent) return;
    this.place.style.height = `${this.layout.height}px`;
    const top = -this.place.getBoundingClientRect().top;
    const [from, to] = this.layout.between(top - AHEAD, top + innerHeight + AHEAD);
    const wanted = new Set();
    for (const row of this.layout.rows.slice(from, to)) {
      if (row.tiles) for (const tile of row.tiles) wanted.add(this.show(`p${tile.index}`, () => this.tile(tile, row)));
      else wanted.add(this.show(`d${row.day}`, () => this.heading(row)));
    }
    for (const [key, element] of this.tiles) {
      if (wanted.has(key)) continue;
      element.querySelector('img')?.removeAttribute('src');  // so that the browser gives up loading it
      element.remove();
      this.tiles.delete(key);
    }
    this.mark();
    if (top + innerHeight + 2 * AHEAD > this.layout.height) this.more();
  }

  show(key, make) {
    if (!this.tiles.has(key)) {
      const element = make();
      this.tiles.set(key, element);
      this.place.append(element);
    }
    return key;
  }

  /** Take the tiles from a place in the list on off the page; the next drawing makes them again. */
  drop(first) {
    for (const [key, element] of this.tiles) {
      if (element.dataset.index && Number(element.dataset.index) < first) continue;
      element.remove();
      this.tiles.delete(key);
    }
  }

  dropAll() { this.drop(0); }

  heading(row) {
    const heading = studio.make('div', { class: 'history-day', role: 'presentation', 'aria-hidden': 'true' }, studio.dayName(row.day));
    heading.style.transform = `translateY(${row.y}px)`;
    return heading;
  }

  tile(tile, row) {
    const picture = this.pictures[tile.index];
    const image = studio.make('img', { alt: '', decoding: 'async', draggable: 'false' });
    const element = studio.make('div', {
      class: 'history-tile', role: 'option', id: `history_${tile.index}`, dataset: { index: tile.index, id: picture.id },
      'aria-selected': String(this.selected.has(picture.id)), 'aria-setsize': String(this.total), 'aria-posinset': String(tile.index + 1),
      'aria-label': studio.describePicture(picture), title: picture.prompt,
    }, image, studio.make('span', { class: 'history-check' }), studio.make('span', { class: 'history-star', dataset: { on: String(picture.starred) } }));
    image.onerror = () => { if (image.hasAttribute('src')) element.classList.add('missing'); };
    image.onload = () => element.classList.add('loaded');
    image.src = picture.thumbnail.slice(1);
    element.style.cssText = `transform: translate(${tile.x}px, ${row.y}px); width: ${tile.width}px; height: ${row.height}px`;
    return element;
  }

  mark() {
    const active = this.tiles.get(`p${this.active}`);
    if (active) this.place.setAttribute('aria-activedescendant', active.id);
    else this.place.removeAttribute('aria-activedescendant');
    this.tiles.forEach((element, key) => element.classList.toggle('active', key === `p${this.active}`));
  }

  /** Make a picture the active one and bring it on the screen. */
  go(index) {
    if (!this.pictures.length) return;
    this.active = Math.max(0, Math.min(this.pictures.length - 1, index));
    const at = this.layout.find(this.active);
    if (at) {
      const row = this.layout.rows[at.row], top = this.place.getBoundingClientRect().top + row.y;
      if (top < 72) scrollBy(0, top - 72);
      else if (top + row.height > innerHeight - 16) scrollBy(0, top + row.height - innerHeight + 16);
    }
    this.draw();
  }

  // --- selecting ---------------------------------------------------------------------------------

  toggle(index, on) {
    const picture = this.pictures[index];
    if (!picture) return;
    if (on ?? !this.selected.has(picture.id)) this.selected.set(picture.id, picture);
    else this.selected.delete(picture.id);
    this.anchor = index;
    this.showSelected();
  }

  selectTo(index) {
    const from = Math.min(this.anchor ?? index, index), to = Math.max(this.anchor ?? index, index);
    for (const picture of this.pictures.slice(from, to + 1)) this.selected.set(picture.id, picture);
    this.showSelected();
  }

  selectAll() { this.pictures.forEach((picture) => this.selected.set(picture.id, picture)); this.showSelected(); }
  clear() { this.selected.clear(); this.showSelected(); }

  keepSelected() {
    const known = new Map(this.pictures.map((picture) => [picture.id, picture]));
    for (const id of this.selected.keys()) if (!known.has(id)) this.selected.delete(id);
    this.on.select();
  }

  showSelected() {
    this.tiles.forEach((element) => { if (element.dataset.id) element.setAttribute('aria-selected', String(this.selected.has(element.dataset.id))); });
    this.on.select();
  }

  clicked(event) {
    const tile = event.target.closest('.history-tile');
    if (!tile || this.pressedLong) { this.pressedLong = false; return; }
    const index = this.active = Number(tile.dataset.index);
    this.mark();
    if (event.target.closest('.history-star')) this.on.star([this.pictures[index]]);
    else if (event.shiftKey) this.selectTo(index);
    else if (event.target.closest('.history-check') || event.ctrlKey || event.metaKey || (this.selected.size && matchMedia('(pointer: coarse)').matches)) this.toggle(index);
    else this.on.open(index);
  }

  watchLongPress() {
    let timer;
    const stop = () => clearTimeout(timer);
    this.place.addEventListener('pointerdown', (event) => {
      this.pressedLong = false;
      const tile = event.target.closest('.history-tile');
      if (!tile || event.pointerType === 'mouse') return;
      timer = setTimeout(() => { this.pressedLong = true; this.toggle(Number(tile.dataset.index)); }, LONG_PRESS);
    });
    for (const name of ['pointerup', 'pointercancel', 'pointermove']) this.place.addEventListener(name, stop);
    this.place.addEventListener('contextmenu', (event) => { if (this.pressedLong) event.preventDefault(); });
  }

  pressed(event) {
    const { layout, active } = this;
    if (!layout || !this.pictures.length) return;
    const page = Math.max(1, Math.floor(innerHeight / (this.target + 8)) - 1);
    const vertical = (steps) => { let at = active; for (let i = 0; i < Math.abs(steps); i += 1) at = layout.vertical(at, Math.sign(steps)); return at; };
    const moves = {
      ArrowRight: () => active + 1, ArrowLeft: () => active - 1, ArrowDown: () => vertical(1), ArrowUp: () => vertical(-1),
      PageDown: () => vertical(page), PageUp: () => vertical(-page), Home: () => 0, End: () => this.pictures.length - 1,
    };
    if (event.altKey) return;
    if (moves[event.key]) {
      const to = moves[event.key]();
      if (event.shiftKey) { this.anchor ??= active; this.selectTo(to); }
      this.go(to);
    } else if ((event.ctrlKey || event.metaKey) && event.key === 'a') this.selectAll();
    else if (event.ctrlKey || event.metaKey) return;
    else if (event.key === 'Enter') this.on.open(active);
    else if (event.key === ' ') this.toggle(active);
    else if (event.key === 'Escape' && this.selected.size) this.clear();
    else if (!this.on.key(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  }
}
studio.HistoryGrid = HistoryGrid;

const sameDay = (a, b) => a.toDateString() === b.toDateString();
/** A day as a heading: today, yesterday, else its date in the page's language. */
studio.dayName = (milliseconds) => {
  const day = new Date(milliseconds), now = new Date(), before = new Date();
  before.setDate(now.getDate() - 1);
  if (sameDay(day, now)) return studio.text('Today');
  if (sameDay(day, before)) return studio.text('Yesterday');
  const form = { weekday: 'long', day: 'numeric', month: 'long', ...(day.getFullYear() === now.getFullYear() ? {} : { year: 'numeric' }) };
  return new Intl.DateTimeFormat(document.documentElement.lang || 'en', form).format(day);
};
/** A moment in the page's language. */
studio.momentName = (seconds) => new Intl.DateTimeFormat(document.documentElement.lang || 'en', { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(seconds * 1000));
/** What a picture is called by screen readers. */
studio.describePicture = (picture) => studio.text('{0}, {1}', picture.prompt.slice(0, 120) || picture.name, studio.momentName(picture.created));

// A field for one picture: how it gets in and out, and the tools that draw on it.
const rounded = (value, low, high) => Math.min(high, Math.max(low, Math.round(value)));
const ENCODE_AFTER = 30;  // ms of rest before a drawing is packed for the server

class PictureField {
  constructor(parts) {
    Object.assign(this, parts);
    this.$ = (selector) => this.element.querySelector(selector);
    this.viewElement = this.$('.canvas-view');
    this.picture = this.$('.canvas-stage img');
    this.draws = this.viewElement.dataset.draw;  // no, mask or colour
    this.shown = '';  // source of the picture on the page
    this.turn = 0;    // of the value that this field has set last
    this.tool = 'brush';
    this.size = 32;
    this.hardness = 100;
    this.drawing = null;
    const overlay = this.draws === 'no' ? null : this.$('.canvas-overlay');
    this.view = new studio.CanvasView(this.viewElement, this.$('.canvas-stage'), overlay, (zoom) => {
      this.$('.zoom-fit').textContent = studio.text('{0} %', Math.round(zoom * 100));
    });
    this.viewElement.field = this;  // for scripts of extensions, and for tests
    this.connectTools();
    this.connectPictures();
    new studio.CanvasPointer(this);
    new studio.CanvasKeys(this);
    this.watch('value', () => this.follow());
    this.held = studio.keptPicture(this) || {};  // the last value that meant something
    if (this.held.image) this.props.value = this.held;
    this.follow();
  }

  say(sentence) {
    this.$('.canvas-message').textContent = sentence;
    this.$('.canvas-message').hidden = !sentence;
  }

  get isEmpty() { return this.$('.canvas-stage').hidden; }

  // --- the drawing ------------------------------------------------------------------------------------

  get brush() {
    return { size: this.size, hardness: this.hardness / 100, colour: this.draws === 'mask' ? '#ffffff' : this.$('.brush-colour input').value };
  }

  /** Change the drawing, show it, and have it packed; buttons wait until the last of several changes is. */
  perform(change) {
    if (!this.drawing) return;
    change(this.drawing);
    this.view.redraw();
    this.mark();
    if (!this.packed) studio.waitFor(new Promise((resolve) => { this.packed = resolve; }));
    clearTimeout(this.packing);
    this.packing = setTimeout(() => {
      const { packed } = this;
      this.packed = null;
      this.pack().finally(packed);
    }, ENCODE_AFTER);
  }

  async pack() {
    const drawing = this.drawing, value = await drawing.value();
    if (drawing === this.drawing) { this.set({ ...this.props.value, ...value }); this.trigger('input'); }
  }

  mark() {
    this.$('.undo').disabled = !this.drawing?.done.length;
    this.$('.redo').disabled = !this.drawing?.undone.length;
  }

  setSize(size) {
    const slider = this.$('.brush-size input');
    this.size = rounded(size, 1, Number(slider.max));
    slider.value = this.size;
    this.$('.brush-size output').textContent = this.size;
  }

  setHardness(hardness) {
    this.hardness = rounded(hardness, 0, 100);
    this.$('.brush-hardness input').value = this.hardness;
    this.$('.brush-hardness output').textContent = this.hardness;
  }

  setTool(name) {
    if (name === 'pick' && this.draws !== 'colour') return;
    this.tool = name;
    this.viewElement.dataset.tool = name;
    for (const button of this.element.querySelectorAll('[data-tool]:not(.canvas-view)')) button.setAttribute('aria-pressed', String(button.dataset.tool === name));
  }

  /** Take the colour under a point of the picture. */
  pickColour([x, y]) {
    const one = document.createElement('canvas');
    one.width = one.height = 1;
    const pen = one.getContext('2d');
    pen.drawImage(this.picture, -Math.floor(x), -Math.floor(y));
    pen.drawImage(this.drawing.layer, -Math.floor(x), -Math.floor(y));
    this.$('.brush-colour input').value = `#${[...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)].map((part) => part.toString(16).padStart(2, '0')).join('')}`;
    this.setTool('brush');
  }

  maximise(large) {
    this.element.closest('.picture-field').classList.toggle('maximised', large);
    document.body.classList.toggle('canvas-maximised', large);
    this.$('.maximise').setAttribute('aria-pressed', String(large));
    this.view.reset();
    this.viewElement.focus({ preventScroll: true });
  }

  get isMaximised() { return this.element.closest('.picture-field').classList.contains('maximised'); }

  connectTools() {
    const click = (name, action) => { this.$(name).onclick = action; };
    for (const button of this.element.querySelectorAll('button[data-tool]')) button.onclick = () => this.setTool(button.dataset.tool);
    this.$('.brush-size input').oninput = (event) => this.setSize(Number(event.target.value));
    this.$('.brush-hardness input').oninput = (event) => this.setHardness(Number(event.target.value));
    click('.undo', () => this.perform((drawing) => drawing.undo()));
    click('.redo', () => this.perform((drawing) => drawing.redo()));
    click('.invert', () => this.perform((drawing) => drawing.invert()));
    click('.clear', () => this.perform((drawing) => drawing.clear()));
    click('.zoom-in', () => this.view.zoomBy(1.4));
    click('.zoom-out', () => this.view.zoomBy(1 / 1.4));
    click('.zoom-fit', () => this.view.reset());
    click('.maximise', () => this.maximise(!this.isMaximised));
    click('.help', () => {
      const keys = this.$('.canvas-keys');
      keys.hidden = !keys.hidden;
      this.$('.help').setAttribute('aria-expanded', String(!keys.hidden));
    });
    click('.load', () => {
      const chooser = Object.assign(document.createElement('input'), { type: 'file', accept: this.$('.dropzone input').accept });
      chooser.onchange = () => this.loadMask(chooser.files[0]);
      chooser.click();
    });
  }

  async loadMask(file) {
    if (!file) return;
    const image = new Image();
    image.src = URL.createObjectURL(file);
    try { await image.decode(); } catch { this.say(studio.text('“{0}” is not a picture that can be read; use PNG, JPEG or WebP.', file.name)); return; }
    const { width, height } = this.drawing;
    if (image.naturalWidth !== width || image.naturalHeight !== height) {
      this.say(studio.text('The mask is {0} × {1} but the picture is {2} × {3}; they must have the same size.', image.naturalWidth, image.naturalHeight, width, height));
      return;
    }
    this.say('');
    this.perform((drawing) => drawing.load(image));
  }

  // --- the picture: chosen, dropped, pasted or sent by the server ---------------------------------------

  /** Set the field's value; `follow` knows by its turn that it is no news. */
  set(value) { this.props.value = this.held = { ...value, turn: ++this.turn }; }

  empty() {
    this.shown = '';
    this.drawing = null;
    this.picture.removeAttribute('src');
    for (const name of ['.canvas-stage', '.canvas-bar', '.canvas-foot', '.canvas-overlay']) this.$(name).hidden = true;
    this.$('.dropzone').hidden = false;
    this.viewElement.dataset.ready = 'false';
    this.view.show(1, 1, null);
    this.announce();
  }

  ready(name) {
    const { naturalWidth: width, naturalHeight: height } = this.picture, draws = this.draws !== 'no';
    this.drawing = draws ? new studio.Drawing(width, height, this.draws === 'colour') : null;
    this.$('.canvas-stage').hidden = this.$('.canvas-foot').hidden = false;
    this.$('.canvas-bar').hidden = this.$('.canvas-overlay').hidden = !draws;
    this.$('.dropzone').hidden = true;
    this.$('.canvas-info').textContent = name ? studio.text('{0} × {1} · {2}', width, height, name) : studio.text('{0} × {1}', width, height);
    this.viewElement.dataset.ready = 'true';
    this.$('.brush-size input').max = Math.max(64, Math.round(Math.max(width, height) / 2));
    this.setSize(Math.max(8, Math.min(width, height) / 10));
    this.view.show(width, height, this.drawing);
    this.mark();
    this.set({ ...this.props.value, size: [width, height] });
    this.restore(this.props.value);
    this.announce();
  }

  /** Draw again what came with a picture. */
  async restore({ mask, paint }) {
    const drawing = this.drawing, source = this.draws === 'mask' ? mask : this.draws === 'colour' ? paint?.png : '';
    if (!source) return;
    const image = new Image();
    image.src = source;
    await image.decode();
    if (drawing !== this.drawing) return;
    if (this.draws === 'colour') this.perform(() => drawing.put(image, paint.x, paint.y));
    else if (image.naturalWidth === drawing.width && image.naturalHeight === drawing.height) this.perform(() => drawing.load(image));
  }

  announce() {
    Object.assign(this.viewElement.dataset, { width: this.picture.naturalWidth || '', height: this.picture.naturalHeight || '' });
    this.element.dispatchEvent(new CustomEvent('studio-picture-changed', { bubbles: true }));
  }

  show(source, name) {
    this.shown = source;
    this.say('');
    this.picture.onload = () => this.ready(name);
    this.picture.onerror = () => {
      if (this.shown !== source) return;
      this.empty();
      this.set({});
      this.say(studio.text('This file is not a picture that the browser can show; use PNG, JPEG or WebP.'));
    };
    this.picture.alt = name || studio.text('Chosen picture');
    this.picture.src = source;
  }

  async take(file) {
    if (!file) return;
    if (file.type && !file.type.startsWith('image/')) { this.say(studio.text('“{0}” is not a picture; use PNG, JPEG or WebP.', file.name)); return; }
    const source = URL.createObjectURL(file);
    this.set({});
    this.show(source, file.name);
    const sending = this.send(file, source);
    studio.waitFor(sending);
    await sending;
  }

  async send(file, source) {
    try {
      const sent = await this.upload(file);
      if (this.shown !== source) return;
      this.set({ ...this.props.value, image: { path: sent.path, url: source, remote: sent.url, name: file.name } });
      this.trigger('upload');
    } catch {
      if (this.shown === source) { this.empty(); this.set({}); }
      this.say(studio.text('The picture could not be uploaded: it is too large, or the server cannot be reached.'));
    }
  }

  connectPictures() {
    const { element, viewElement } = this;
    this.$('.dropzone input').onchange = (event) => { this.take(event.target.files[0]); event.target.value = ''; };
    this.$('.remove').onclick = () => { if (this.isMaximised) this.maximise(false); this.empty(); this.set({}); this.trigger('clear'); };
    for (const name of ['dragenter', 'dragover']) element.addEventListener(name, (event) => { event.preventDefault(); viewElement.dataset.over = 'true'; });
    for (const name of ['dragleave', 'drop']) element.addEventListener(name, () => { delete viewElement.dataset.over; });
    element.addEventListener('drop', (event) => {
      event.preventDefault();
      event.stopPropagation();
      this.drop(event.dataTransfer);
    });
    element.addEventListener('studio-picture', (event) => this.take(event.detail));
  }

  async drop(carrier) {
    const file = carrier.files[0];
    if (file) { this.take(file); return; }
    if (studio.isOwnPicture(carrier)) this.take(await studio.draggedPicture(carrier));
  }

  follow() {
    const value = this.props.value, image = value?.image;
    if (value === null) { this.empty(); this.set({}); return; }
    if (value?.turn === this.turn && this.turn) return;
    if (!image) {  // while it builds a tab, Gradio writes the first value again over what was put here meanwhile
      if (this.held.image) this.props.value = this.held;
      return;
    }
    this.held = value;
    this.show(image.url || 'files/' + encodeURIComponent(image.id), image.name);
  }
}

Object.assign(studio, { PictureField });

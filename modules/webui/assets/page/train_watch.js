// The training that goes on, in the tab Train: what it does, its loss, its samples, and the buttons that steer it.
const KEPT = 'studio-training', PACE = 2000, FINAL = ['done', 'failed', 'cancelled'], SAMPLES = 24, GONE = 404;

studio.TrainingWatch = class {
  /** `onState` is told whether a training runs, each time one begins or ends. */
  constructor(root, onState) {
    this.root = root;
    this.part = root.querySelector('.train-watch');
    this.onState = onState;
    this.runs = false;
    this.timer = 0;
    for (const button of this.part.querySelectorAll('[data-act]')) button.onclick = () => this.steer(button.dataset.act);
    this.$('.train-use').onclick = () => this.use();
  }

  $(selector) { return this.part.querySelector(selector); }

  /** Watch a job from now on, also after the page was loaded anew. */
  follow(id) {
    localStorage.setItem(KEPT, id);
    this.job = id;
    this.$('.train-samples').replaceChildren();
    this.isNew = true;
    this.look();
  }

  /** The tab is seen: go on with the job that was watched last, or with one that somebody else's page began. */
  async seen() {
    const kept = localStorage.getItem(KEPT);
    const active = kept ? undefined : (await studio.ask('GET', 'queue')).active.find(({ task }) => task === 'training')?.id;
    if ((kept || active || this.job) !== this.job) this.$('.train-samples').replaceChildren();
    this.job = kept || active || this.job;
    await this.look();
  }

  async look() {
    clearTimeout(this.timer);
    if (!this.job) return;
    const { job } = this;
    try {
      const [view, training] = await Promise.all([studio.ask('GET', `jobs/${job}`), studio.ask('GET', `training/jobs/${job}`)]);
      if (job === this.job) this.show(view, training);
    } catch (error) {
      if (error.status === GONE) { this.forget(); return; }
      this.$('.train-said').textContent = error.message;   // the server may be starting anew: it is asked again
    }
    if (localStorage.getItem(KEPT)) this.wait();
  }

  wait() { this.timer = setTimeout(() => (this.root.offsetParent ? this.look() : this.wait()), PACE); }   // asks nothing while hidden

  forget() {
    localStorage.removeItem(KEPT);
    this.job = '';
    this.part.hidden = true;
    this.onState(false);
  }

  show(view, training) {
    const runs = !FINAL.includes(view.state), isPaused = view.state === 'paused';
    this.view = view;
    this.part.hidden = false;
    if (this.isNew) this.part.scrollIntoView({ block: 'nearest' });
    this.isNew = false;
    this.$('.train-title').textContent = training.name;
    this.$('.train-said').textContent = this.tell(view);
    this.$('progress').value = view.state === 'done' ? 1 : view.progress;
    for (const button of this.part.querySelectorAll('[data-act]')) button.hidden = !runs;
    this.$('[data-act="pause"]').hidden ||= isPaused;
    this.$('[data-act="resume"]').hidden ||= !isPaused;
    this.$('.train-use').hidden = !this.tag;
    this.draw(training.losses, runs && view.steps ? view.step / view.steps : 1);
    this.showSamples(training.samples);
    if (runs) localStorage.setItem(KEPT, this.job);
    else localStorage.removeItem(KEPT);
    if (runs !== this.runs || !runs) this.onState(runs);
    this.runs = runs;
  }

  /** What a prompt says to use the result; "" while there is none, and where a checkpoint must be chosen first. */
  get tag() {
    const { tag = '', result = '', is_checkpoint: isCheckpoint } = JSON.parse((this.view?.state === 'done' && this.view.info) || '{}');
    return result && !isCheckpoint ? tag : '';
  }

  tell(view) {
    if (view.state === 'done') {
      const { tag = '', result = '', is_checkpoint: isCheckpoint } = JSON.parse(view.info || '{}');
      if (isCheckpoint) return studio.text('Done. Choose the checkpoint {0} and write {1} into a prompt.', result, tag);
      return tag ? studio.text('Done. Write {0} into a prompt.', tag) : studio.text('Done.');
    }
    if (view.state === 'failed') return view.error;
    if (view.state === 'cancelled') return studio.text('The training was cancelled.');
    if (view.state === 'paused') return studio.text('Paused at step {0} of {1}.', view.step, view.steps);
    if (view.state === 'queued') return studio.text('Waiting in the queue.');
    if (!view.step) return view.text || studio.text('Preparing');
    if (view.eta_seconds === null) return studio.text('Step {0} of {1}.', view.step, view.steps);
    return studio.text('Step {0} of {1}, about {2} left.', view.step, view.steps, studio.duration(view.eta_seconds));
  }

  /** The curve between its lowest and its highest value, as far to the right as the training has come. */
  draw(losses, share) {
    this.$('.train-loss').hidden = losses.length < 2;
    if (losses.length < 2) return;
    const high = Math.max(...losses), low = Math.min(...losses), span = high - low || 1;
    const points = losses.map((loss, i) => `${(200 * share * i) / (losses.length - 1)},${57 - (54 * (loss - low)) / span}`);
    this.$('polyline').setAttribute('points', points.join(' '));
    this.$('figcaption').textContent = studio.text('Loss {0}', losses.at(-1).toFixed(3));
    this.$('.train-loss-high').textContent = high.toFixed(3);
    this.$('.train-loss-low').textContent = low.toFixed(3);
  }

  /** What the model drew on the way, the newest at the right, where one looks. */
  showSamples(steps) {
    const list = this.$('.train-samples'), shown = steps.slice(-SAMPLES);
    list.hidden = !shown.length;
    const there = new Set([...list.children].map((item) => Number(item.dataset.step)));
    for (const item of [...list.children]) if (!shown.includes(Number(item.dataset.step))) item.remove();
    const added = shown.filter((step) => !there.has(step)).map((step) => {
      const src = `api/v1/training/jobs/${this.job}/sample?step=${step}`, name = studio.text('Step {0}', step);
      const picture = studio.make('img', { src, alt: studio.text('Samples of step {0}', step), onload: () => { list.scrollLeft = list.scrollWidth; } });
      return studio.make('li', { dataset: { step } }, studio.make('a', { href: src, target: '_blank' }, picture), studio.make('span', {}, name));
    });
    list.append(...added);
  }

  steer(act) {
    if (act === 'cancel' && !confirm(studio.text('Cancel this training? What it has learnt so far is lost.'))) return;
    studio.attempt(async () => { await studio.ask('POST', `jobs/${this.job}/${act}`); await this.look(); });
  }

  /** Write the tag behind what is in txt2img's prompt, and go there. */
  use() {
    const { tag } = this;
    studio.press('tab_txt2img-button');
    const area = studio.promptOf('txt2img');
    if (!area || area.value.includes(tag)) return;
    studio.type(area, area.value.trim() ? `${area.value.trimEnd()}, ${tag}` : tag);
    area.focus();
  }
};

// The tab Train: pictures are sent to a set, a recipe to the queue, and the training is watched while the tab is open.
(function begin() {
  if (!window.studio?.ask) { requestAnimationFrame(begin); return; }  // the page's scripts come later
  const $ = (selector) => element.querySelector(selector);
  const root = $('.train-root'), form = $('.train-form'), grid = $('.train-grid'), said = $('.train-said');
  const watch = $('.train-watch'), sample = $('.train-sample'), setField = $('[name="set"]'), picker = $('.train-add input');
  const KEPT = 'studio-training', PACE = 2000, FINAL = ['done', 'failed', 'cancelled'];
  const field = (name) => form.elements.namedItem(name);
  const number = (name) => (field(name).value === '' ? undefined : Number(field(name).value));
  const setPath = (...parts) => ['training/sets', encodeURIComponent(setField.value.trim() || 'pictures'), ...parts].join('/');
  let presets = {}, job = localStorage.getItem(KEPT) || '', shownSample = 0, timer = 0;

  // --- pictures and captions
  const card = ([file, caption]) => {
    const picture = Object.assign(document.createElement('img'), { src: `api/v1/${setPath('pictures', encodeURIComponent(file))}`, alt: file, loading: 'lazy' });
    const text = Object.assign(document.createElement('textarea'), { value: caption, rows: 3 });
    const remove = Object.assign(document.createElement('button'), { type: 'button', textContent: '×' });
    text.setAttribute('aria-label', studio.text('Caption of {0}', file));
    remove.setAttribute('aria-label', studio.text('Remove {0}', file));
    text.onchange = () => studio.attempt(() => studio.ask('PUT', setPath(), { captions: { [file]: text.value } }));
    remove.onclick = () => studio.attempt(async () => show(await studio.ask('DELETE', setPath('pictures', encodeURIComponent(file)))));
    const item = document.createElement('li');
    item.append(picture, text, remove);
    return item;
  };
  const show = ({ captions }) => grid.replaceChildren(...Object.entries(captions).map(card));
  const load = () => studio.attempt(async () => show(await studio.ask('GET', setPath())));
  const send = async (file) => {
    const place = `api/v1/${setPath('pictures')}?file=${encodeURIComponent(file.name)}`;
    const answer = await fetch(place, { method: 'POST', body: file });
    if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.detail || studio.text('{0} could not be sent.', file.name));
  };
  const add = async (files) => {
    for (const file of files) await studio.attempt(() => send(file));
    picker.value = '';
    load();
  };
  const describe = (method) => studio.attempt(async () => {
    const { captions } = await studio.ask('GET', setPath());
    for (const file of Object.keys(captions)) show(await studio.ask('POST', `${setPath('pictures', encodeURIComponent(file))}/describe?method=${method}`));
  });
  for (const button of element.querySelectorAll('[data-describe]')) button.onclick = () => describe(button.dataset.describe);
  picker.onchange = () => add([...picker.files]);
  setField.onchange = load;
  root.ondragover = (event) => { if (event.dataTransfer?.types.includes('Files')) event.preventDefault(); };
  root.ondrop = (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    event.stopPropagation();
    add([...event.dataTransfer.files]);
  };

  // --- the recipe
  const choosePreset = () => {
    const { optimisation = {}, lora = {} } = presets[field('preset').value] || {};
    field('steps').value = optimisation.steps ?? '';
    field('learning_rate').value = optimisation.learning_rate ?? 0.0001;
    field('rank').value = lora.rank ?? '';
    field('batch').value = optimisation.batch ?? 1;
    field('vectors').value ||= 4;
  };
  const chooseKind = () => {
    root.dataset.kind = field('kind').value;
    for (const label of form.querySelectorAll('[data-for]')) label.hidden = !label.dataset.for.split(' ').includes(root.dataset.kind);
  };
  // one number, or A1111's "0.005:100, 1e-3:1000, 1e-5"; what is neither is refused by the server with a sentence
  const rates = (text) => (text === '' ? {} : Number.isFinite(Number(text)) ? { learning_rate: Number(text) } : { rates: text });
  const ticked = (name) => field(name).checked;
  const recipe = () => {
    const kind = field('kind').value, prompt = field('prompt').value.trim(), preserved = field('class_prompt').value.trim();
    return {
      kind,
      name: field('name').value.trim(),
      data: {
        trigger: field('trigger').value.trim(),
        folder: field('folder').value.trim() || undefined,
        templates: field('templates').value || undefined,
        resolution: number('resolution'),
        tag_dropout: number('tag_dropout'),
        latent_sampling: field('latent_sampling').value,
        shuffle_tags: ticked('shuffle_tags'),
        alpha_masks: ticked('alpha_masks'),
        flip: ticked('flip'),
      },
      optimisation: {
        steps: number('steps'),
        ...rates(field('learning_rate').value.trim()),
        batch: number('batch'),
        accumulation: number('accumulation'),
        gradient_clipping: field('gradient_clipping').value,
        max_gradient_norm: number('max_gradient_norm'),
        seed: number('seed'),
      },
      lora: { rank: number('rank') },
      embedding: { vectors: number('vectors'), initial_text: field('initial_text').value },
      hypernetwork: {
        layers: field('layers').value.split(',').map(Number),
        activation: field('activation').value,
        layer_norm: ticked('layer_norm'),
        dropout: number('dropout'),
      },
      result: field('result').value,
      replace: ticked('replace'),
      save_every: number('save_every'),
      prior: kind === 'dreambooth' && preserved ? { prompt: preserved } : null,
      samples: { every: number('sample_every') ?? 0, prompts: prompt ? [prompt] : [] },
    };
  };
  field('preset').onchange = choosePreset;
  field('kind').onchange = chooseKind;
  form.onsubmit = async (event) => {
    event.preventDefault();
    said.textContent = '';
    const asked = { recipe: recipe(), preset: field('preset').value };
    if (!asked.recipe.data.folder) asked.pictures = setField.value.trim() || 'pictures';
    try {
      follow((await studio.ask('POST', 'training/jobs', asked)).id);
    } catch (error) {
      said.textContent = error.message;
    }
  };

  // --- the training that goes on
  const follow = (id) => {
    job = id;
    shownSample = 0;
    localStorage.setItem(KEPT, id);
    look();
  };
  const tell = (view) => {
    if (view.state === 'done') return studio.text('Done. Write {0} into a prompt.', JSON.parse(view.info || '{}').tag || '');
    if (view.state === 'failed') return view.error;
    if (view.state === 'cancelled') return studio.text('The training was cancelled.');
    if (view.state === 'paused') return studio.text('Paused at step {0} of {1}.', view.step, view.steps);
    if (view.state === 'queued') return studio.text('Waiting in the queue.');
    if (!view.step) return view.text || studio.text('Preparing');
    if (view.eta_seconds === null) return studio.text('Step {0} of {1}.', view.step, view.steps);
    return studio.text('Step {0} of {1}, about {2} minutes left.', view.step, view.steps, Math.ceil(view.eta_seconds / 60));
  };
  const draw = ({ losses, sample: step }) => {
    const highest = Math.max(...losses, 1e-9);
    const points = losses.map((loss, i) => `${(200 * i) / Math.max(1, losses.length - 1)},${60 - (56 * loss) / highest}`);
    $('.train-curve polyline').setAttribute('points', points.join(' '));
    if (step && step !== shownSample) sample.src = `api/v1/training/jobs/${job}/sample?step=${step}`;
    sample.hidden = !step;
    shownSample = step;
  };
  const stopped = $('.train-stopped');
  const stoppedLine = ({ id, name }) => {
    const button = (text, act) => Object.assign(document.createElement('button'), { type: 'button', textContent: text, onclick: () => studio.attempt(act) });
    const said = Object.assign(document.createElement('span'), { textContent: studio.text('{0} is not finished.', name) });
    const item = document.createElement('li');
    item.append(
      said,
      button(studio.text('Continue'), async () => follow((await studio.ask('POST', `training/jobs/${id}/continue`)).id)),
      button(studio.text('Remove'), async () => showStopped(await studio.ask('DELETE', `training/jobs/${id}`))),
    );
    return item;
  };
  const showStopped = (list) => stopped.replaceChildren(...list.map(stoppedLine));
  const askStopped = () => studio.attempt(async () => showStopped(await studio.ask('GET', 'training/jobs')));
  const offer = (state) => {
    const runs = !FINAL.includes(state);
    $('.train-start').hidden = stopped.hidden = runs;
    for (const button of form.querySelectorAll('[data-act]')) button.hidden = !runs;
    $('[data-act="pause"]').hidden ||= state === 'paused';
    $('[data-act="resume"]').hidden ||= state !== 'paused';
  };
  const look = async () => {
    clearTimeout(timer);
    if (!job) return;
    try {
      const [view, training] = await Promise.all([studio.ask('GET', `jobs/${job}`), studio.ask('GET', `training/jobs/${job}`)]);
      watch.hidden = false;
      said.textContent = tell(view);
      $('progress').value = view.progress;
      draw(training);
      offer(view.state);
      if (FINAL.includes(view.state)) {
        localStorage.removeItem(KEPT);
        askStopped();
        return;
      }
    } catch {
      offer('done');
      localStorage.removeItem(KEPT);
      return;
    }
    timer = setTimeout(() => (root.offsetParent ? look() : wait()), PACE);
  };
  const wait = () => { timer = setTimeout(() => (root.offsetParent ? look() : wait()), PACE); };  // asks nothing while hidden
  for (const button of form.querySelectorAll('[data-act]')) {
    button.onclick = () => studio.attempt(async () => { await studio.ask('POST', `jobs/${job}/${button.dataset.act}`); look(); });
  }

  // --- when the tab is first seen
  const start = async () => {
    const { editable } = await studio.visitor();
    if (!editable) {
      said.textContent = studio.text('Only an administrator can train models.');
      $('.train-start').disabled = true;
      return;
    }
    presets = await studio.ask('GET', 'training/presets');
    field('preset').replaceChildren(...Object.keys(presets).map((name) => new Option(name)));
    choosePreset();
    for (const name of await studio.ask('GET', 'training/sets')) $('datalist').append(new Option(name));
    load();
    askStopped();
    look();
  };
  chooseKind();
  new IntersectionObserver((seen, observer) => {
    if (!seen.some((one) => one.isIntersecting)) return;
    observer.disconnect();
    studio.attempt(start);
  }).observe(root);
}());

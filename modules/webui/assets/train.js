// The tab Train: pictures are sent to a set, a recipe to the queue, and the training is watched while the tab is open.
const $ = (selector) => element.querySelector(selector);
const root = $('.train-root'), form = $('.train-form'), grid = $('.train-grid'), refused = $('.train-refused');
const setField = $('[name="set"]'), picker = $('.train-add input'), drop = $('.train-drop');
const field = (name) => form.elements.namedItem(name);
const number = (name) => (field(name).value === '' ? undefined : Number(field(name).value));
const setPath = (...parts) => ['training/sets', encodeURIComponent(setField.value.trim() || 'pictures'), ...parts].join('/');
const checkpoint = () => studio.form.value('txt2img', 'setting_sd_model_checkpoint') || '';
let presets = {}, presetsFor;

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
const invitation = drop.textContent;
const show = ({ captions }) => {
  grid.replaceChildren(...Object.entries(captions).map(card));
  const count = grid.children.length;
  drop.textContent = count ? studio.text('Pictures: {0}. Say below what each of them shows; more can be dropped here.', count) : invitation;
};
const load = () => studio.attempt(async () => show(await studio.ask('GET', setPath())));
const send = async (file) => {
  const place = `api/v1/${setPath('pictures')}?file=${encodeURIComponent(file.name)}`;
  const answer = await fetch(place, { method: 'POST', body: file });
  if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.detail || studio.text('{0} could not be sent.', file.name));
};
const add = async (files) => {
  for (const [i, file] of files.entries()) {
    drop.textContent = studio.text('Sending picture {0} of {1}', i + 1, files.length);
    await studio.attempt(() => send(file));
  }
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
  const { kinds = {}, optimisation, lora = {} } = presets[field('preset').value] || {};
  const made = field('kind').value === 'dreambooth' ? field('result').value : field('kind').value;
  const learning = { learning_rate: 0.0001, batch: 1, ...optimisation, ...kinds[made]?.optimisation };
  field('steps').value = learning.steps ?? '';
  field('learning_rate').value = learning.learning_rate;
  field('batch').value = learning.batch;
  field('rank').value = lora.rank ?? '';
  field('vectors').value ||= 4;
};
const askPresets = async () => {
  presetsFor = checkpoint();
  presets = await studio.ask('GET', `training/presets?${new URLSearchParams({ checkpoint: presetsFor })}`);
  field('preset').replaceChildren(...Object.keys(presets).map((name) => new Option(name)));
  choosePreset();
};
const chooseKind = () => {
  root.dataset.kind = field('kind').value;
  for (const label of form.querySelectorAll('[data-for]')) label.hidden = !label.dataset.for.split(' ').includes(root.dataset.kind);
  choosePreset();
};
// one number, or A1111's "0.005:100, 1e-3:1000, 1e-5"; what is neither is refused by the server with a sentence
const rates = (text) => (text === '' ? {} : Number.isFinite(Number(text)) ? { learning_rate: Number(text) } : { rates: text });
const ticked = (name) => field(name).checked;
const recipe = () => {
  const kind = field('kind').value, prompt = field('prompt').value.trim(), preserved = field('class_prompt').value.trim();
  return {
    kind,
    name: field('name').value.trim(),
    checkpoint: checkpoint() || undefined,
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
    prior: kind === 'dreambooth' && preserved ? { prompt: preserved, pictures: number('class_pictures') } : null,
    samples: { every: number('sample_every') ?? 0, prompts: prompt ? [prompt] : [] },
  };
};
field('preset').onchange = choosePreset;
field('kind').onchange = chooseKind;
field('result').onchange = choosePreset;
form.onsubmit = async (event) => {
  event.preventDefault();
  refused.textContent = '';
  const asked = { recipe: recipe(), preset: field('preset').value };
  if (!asked.recipe.data.folder) asked.pictures = setField.value.trim() || 'pictures';
  try {
    watch.follow((await studio.ask('POST', 'training/jobs', asked)).id);
  } catch (error) {
    refused.textContent = error.message;
  }
};

// --- trainings that can go on
const stopped = $('.train-stopped');
const stoppedLine = ({ id, name }) => studio.make('li', {},
  studio.make('span', {}, studio.text('{0} is not finished.', name)),
  studio.make('button', { type: 'button', onclick: () => studio.attempt(async () => watch.follow((await studio.ask('POST', `training/jobs/${id}/continue`)).id)) }, studio.text('Continue')),
  studio.make('button', { type: 'button', onclick: () => forget(id, name) }, studio.text('Remove')));
const forget = (id, name) => {
  if (!confirm(studio.text('Remove what {0} could go on from? The file that it has made stays.', name))) return;
  studio.attempt(async () => showStopped(await studio.ask('DELETE', `training/jobs/${id}`)));
};
const showStopped = (list) => stopped.replaceChildren(...list.map(stoppedLine));
const askStopped = () => studio.attempt(async () => showStopped(await studio.ask('GET', 'training/jobs')));
const watch = new studio.TrainingWatch(root, (runs) => {
  $('.train-start').hidden = stopped.hidden = runs;
  if (!runs) askStopped();
});

// --- when the tab is seen
const start = async () => {
  const { editable } = await studio.visitor();
  if (!editable) {
    refused.textContent = studio.text('Only an administrator can train models.');
    $('.train-start').disabled = true;
    return;
  }
  await askPresets();
  for (const name of await studio.ask('GET', 'training/sets')) $('datalist').append(new Option(name));
  load();
  askStopped();
  await watch.seen();
};
const seenAgain = async () => {
  if ($('.train-start').disabled) return;
  if (checkpoint() !== presetsFor) await askPresets();
  await watch.seen();
};
let isStarted = false;
chooseKind();
new IntersectionObserver((seen) => {
  if (!seen.some((one) => one.isIntersecting)) return;
  studio.attempt(isStarted ? seenAgain : start);
  isStarted = true;
}).observe(root);

// Small tools for the scripts that build parts of the page themselves.
/** An element: properties by name (`class`, `dataset`, `on…`, attributes), then children or texts. */
studio.make = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'dataset') Object.assign(element.dataset, value);
    else if (name === 'class') element.className = value;
    else if (name in element && typeof value !== 'string') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
};

/** Put a dialog or popover where the page's styles reach it. */
studio.overlay = (element) => (document.querySelector('.gradio-container main') || document.body).append(element);

/** Ask our own server; an answer that is no success becomes an Error with its sentence. */
studio.ask = async (method, path, body) => {
  let answer;
  try {
    answer = await fetch(`api/v1/${path}`, {
      method,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Error(studio.text('The server does not answer. Is it still running?'));
  }
  const content = await answer.json().catch(() => null);
  if (answer.ok) return content;
  const detail = content?.detail;
  const sentence = Array.isArray(detail) ? detail.map((one) => one.msg).join('; ') : detail;
  const error = new Error(sentence || studio.text('The server answered with error {0}.', answer.status));
  throw Object.assign(error, { status: answer.status });
};

/** A length of time in few words. */
studio.duration = (seconds) => {
  if (seconds < 60) return studio.text('{0} s', Math.max(1, Math.round(seconds)));
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? studio.text('{0} min', minutes) : studio.text('{0} h {1} min', Math.floor(minutes / 60), minutes % 60);
};

let sayings;
/** A sentence at the foot of the page that goes away by itself; `kind` is 'good' or 'bad'. */
studio.say = (sentence, kind = 'good') => {
  if (!sayings) {
    sayings = studio.make('div', { class: 'sayings', role: 'status', 'aria-live': 'polite' });
    studio.overlay(sayings);
  }
  [...sayings.children].find((note) => note.textContent === sentence)?.remove();
  const note = studio.make('p', { class: `saying ${kind}` }, sentence);
  sayings.append(note);
  setTimeout(() => note.remove(), kind === 'bad' ? 9000 : 4000);
};

/** Run something that asks the server; whatever goes wrong is said. Returns undefined then. */
studio.attempt = async (task) => {
  try { return await task(); } catch (error) { studio.say(error.message, 'bad'); return undefined; }
};

let visitor;
/** Who looks at the page and how its tools behave; asked for once. */
studio.visitor = () => {
  visitor ||= studio.ask('GET', 'page').catch(() => { visitor = undefined; return { user: '', editable: false, options: {} }; });
  return visitor;
};

studio.visitor().then(({ options }) => { studio.tellsInTitle = options.show_progress_in_title; });

/** Write into one of Gradio's text boxes as if it had been typed. */
studio.type = (area, text) => {
  area.value = text;
  area.dispatchEvent(new Event('input', { bubbles: true }));
};
studio.promptOf = (tab, negative = false) => document.querySelector(`#${tab}_${negative ? 'neg_prompt' : 'prompt'} textarea`);

/** Call a function when a value has not changed for a while. */
studio.settled = (milliseconds, task) => {
  let timer;
  return (...values) => { clearTimeout(timer); timer = setTimeout(() => task(...values), milliseconds); };
};

/** Open a popover below (or above) the element that opens it, inside the screen. */
studio.openBeside = (popover, opener) => {
  if (popover.matches(':popover-open')) { popover.hidePopover(); return; }
  popover.showPopover();
  const at = opener.getBoundingClientRect(), size = popover.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.right - size.width, innerWidth - size.width - 8));
  const below = at.bottom + 8, fits = below + size.height <= innerHeight - 8;
  popover.style.left = `${left}px`;
  popover.style.top = `${fits ? below : Math.max(8, at.top - size.height - 8)}px`;
};

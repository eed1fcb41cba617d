// A lost server: a banner while it is away, and jobs are followed again when it is back.
const PAUSES = [1, 2, 3, 5];  // seconds between attempts, the last one again and again
const BACK_SHOWN = 3;         // seconds
const realFetch = window.fetch.bind(window);
let banner = null, checking = false;

const show = (sentence, isBack) => {
  if (!banner) {
    banner = document.createElement('div');
    banner.className = 'connection-banner';
    banner.setAttribute('role', 'status');
    document.body.append(banner);
  }
  banner.textContent = sentence;
  banner.dataset.back = String(isBack);
};
const hide = () => { banner?.remove(); banner = null; };
const answers = async () => {
  try { return (await realFetch('health', { cache: 'no-store', signal: AbortSignal.timeout(4000) })).ok; }
  catch { return false; }
};
const wait = (seconds) => new Promise((resolve) => { setTimeout(resolve, seconds * 1000); });

const check = async () => {
  if (checking) return;
  checking = true;
  try {
    let wasAway = false;
    for (let attempt = 0; !(await answers()); attempt++) {
      wasAway = true;
      show(studio.text('The server does not answer. Your form is kept; trying again …'), false);
      await wait(PAUSES[Math.min(attempt, PAUSES.length - 1)]);
    }
    if (!wasAway) return;
    const login = await realFetch('config', { cache: 'no-store' });
    if (!login.ok || login.redirected) { location.reload(); return; }
    show(studio.text('The server is back.'), true);
    keepsPage = false;
    for (const button of document.querySelectorAll('.toast-body.error .toast-close, .reattach')) button.click();
    await wait(BACK_SHOWN);
    hide();
  } finally { checking = false; }
};

/** The same answer; when its stream of events ends or breaks, somebody looks whether the server is there. */
const watched = (answer) => {
  if (!answer.body || !answer.headers.get('content-type')?.startsWith('text/event-stream')) return answer;
  const reader = answer.body.getReader();
  const body = new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) { controller.enqueue(value); return; }
        controller.close();
      } catch (error) { controller.error(error); }
      check();
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return new Response(body, answer);
};

// When its stream breaks, Gradio asks every two seconds for the server's identity and reloads the page on any
// answer; what was typed and drawn would go with it. As long as the server lays the page out as before, Gradio
// is told that there is no answer, and we go on with the page that is there.
const layoutOf = ({ components, dependencies }) => JSON.stringify([
  components.map(({ id, type }) => [id, type]), dependencies.map(({ id, targets, inputs, outputs }) => [id, targets, inputs, outputs]),
]);
let keepsPage = false;
const identity = async (request) => {
  if (!keepsPage) {
    const answer = await realFetch(...request), config = await realFetch('config', { cache: 'no-store' });
    keepsPage = config.ok && !config.redirected && layoutOf(await config.json()) === layoutOf(window.gradio_config);
    if (!keepsPage) return answer;
  }
  throw new TypeError('the page goes on by itself');
};

window.fetch = async (...request) => {
  if (String(request[0]?.url ?? request[0]).endsWith('/app_id')) return identity(request);
  try { return watched(await realFetch(...request)); }
  catch (error) {
    if (error.name !== 'AbortError') check();
    throw error;
  }
};
addEventListener('offline', check);
addEventListener('online', check);
/** Ask whether the server is there; for whoever noticed that something did not arrive. */
studio.checkConnection = check;

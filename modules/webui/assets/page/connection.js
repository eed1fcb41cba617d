// A lost server: a banner while it is away, and jobs are followed again when it is back. Where Gradio was
// listening when the server went it reloads the page, sometimes before anybody here has seen that the server is
// back; forms and drawings are remembered (form_memory.js, canvas_memory.js), so is that the server was away, and
// the page finds its job again as after any reload.
const PAUSES = [1, 2, 3, 5];  // seconds between attempts, the last one again and again
const BACK_SHOWN = 3;         // seconds
const AWAY = 'studio-server-away';
const realFetch = window.fetch.bind(window);
let banner = null, checking = false, isLeaving = false;

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
const greet = async () => {
  show(studio.text('The server is back.'), true);
  await wait(BACK_SHOWN);
  if (banner?.dataset.back !== 'true') return;   // it is away again
  sessionStorage.removeItem(AWAY);
  hide();
};

const check = async () => {
  if (checking) return;
  checking = true;
  try {
    let wasAway = false;
    for (let attempt = 0; !(await answers()); attempt++) {
      if (isLeaving) return;   // what breaks off is the page
      wasAway = true;
      sessionStorage.setItem(AWAY, 'yes');
      show(studio.text('The server does not answer. Your form is kept; trying again …'), false);
      await wait(PAUSES[Math.min(attempt, PAUSES.length - 1)]);
    }
    if (!wasAway) return;
    const login = await realFetch('config', { cache: 'no-store' }).catch(() => null);
    if (!login) { setTimeout(check, 1000 * PAUSES[0]); return; }   // gone again
    if (!login.ok || login.redirected) { location.reload(); return; }
    greet();
    for (const button of document.querySelectorAll('.reattach')) button.click();
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

window.fetch = async (...request) => {
  try { return watched(await realFetch(...request)); }
  catch (error) {
    if (error.name !== 'AbortError') check();
    throw error;
  }
};
addEventListener('beforeunload', () => {
  isLeaving = true;
  setTimeout(() => { isLeaving = false; }, 1000 * BACK_SHOWN);   // it was a download: the page stays
});
addEventListener('offline', check);
addEventListener('online', check);
if (sessionStorage.getItem(AWAY)) greet();
/** Ask whether the server is there; for whoever noticed that something did not arrive. */
studio.checkConnection = check;

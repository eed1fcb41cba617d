// Tell about a finished job when nobody looks at the page. Each browser decides for itself; nothing leaves the machine.
const KEY = 'studio-notify';
const wanted = () => localStorage.getItem(KEY) === 'yes' && window.Notification?.permission === 'granted';

const tell = (tab) => {
  const state = document.querySelector(`#${tab}_gallery .live-root`)?.dataset.state;
  if (!document.hidden || !wanted() || !['done', 'failed'].includes(state)) return;
  const sentence = state === 'done' ? studio.text('Your picture is ready.') : studio.text('The job has failed.');
  const note = new Notification(document.title, { body: sentence, tag: 'studio' });
  note.onclick = () => { window.focus(); note.close(); };
};

const busy = new Map();  // tab -> whether a job was under way
new MutationObserver((changes) => {
  for (const { target } of changes) {
    if (!target.classList.contains('studio-tab')) continue;
    const tab = target.id.replace('_page', ''), now = studio.busy(tab);
    if (busy.get(tab) && !now) setTimeout(() => tell(tab), 300);  // the state of the job comes with the picture
    busy.set(tab, now);
  }
}).observe(document.body, { subtree: true, attributes: true, attributeFilter: ['data-busy'] });

studio.notify = {
  isPossible: () => Boolean(window.Notification),
  isOn: wanted,
  async set(on) {
    localStorage.setItem(KEY, on ? 'yes' : 'no');
    if (on && await Notification.requestPermission() !== 'granted') studio.say(studio.text('The browser does not allow notifications for this page.'), 'bad');
  },
};
